#include "native/backends/cuda/network.h"

#include <algorithm>
#include <cstring>

#include "native/backends/cuda/int8_weights.h"
#include "native/graph/overloaded.h"
#include "native/graph/passes/passes.h"

namespace resnet_native::cuda {
namespace {

// Of pinned memory, while weights are uploaded.
constexpr size_t kUploadSlice = size_t{16} << 20;

// Whether a node is what a normalisation makes of the run's input.
bool IsNormalizedInput(const Node& node) {
  return std::holds_alternative<NormalizeOp>(node.op) && node.inputs[0] == 0;
}

// Bytes of normalised input are made of the run's own at once.
Graph FoldNormalizeIntoQuantize(Graph graph) {
  for (Node& node : graph.nodes) {
    auto* quantize = std::get_if<QuantizeOp>(&node.op);
    if (!quantize || !IsNormalizedInput(graph.nodes[node.inputs[0]])) continue;
    quantize->input_normalize = std::get<NormalizeOp>(graph.nodes[node.inputs[0]].op).affine;
    node.inputs[0] = 0;
  }
  return EliminateDead(std::move(graph));
}

// Not FoldNormalize: here the normalisation is the kernel that loads the input.
Graph OptimizeForGpu(Graph graph, DType dtype) {
  graph = FuseEpilogue(FoldBatchNorm(EliminateDead(std::move(graph))));
  return dtype == DType::kInt8 ? FoldNormalizeIntoQuantize(Quantize(std::move(graph))) : graph;
}

bool IsOutput(const Graph& graph, NodeId node) {
  return std::find(graph.outputs.begin(), graph.outputs.end(), node) != graph.outputs.end();
}

// True if every node that reads `node` is accepted by `accepts`, and there is one.
template <class Accepts>
bool AllReaders(const Graph& graph, NodeId node, Accepts accepts) {
  bool any = false;
  for (const Node& reader : graph.nodes) {
    if (std::find(reader.inputs.begin(), reader.inputs.end(), node) == reader.inputs.end()) continue;
    if (!accepts(reader.op)) return false;
    any = true;
  }
  return any;
}

WeightImage::Places AddParameters(const Op& op, DType dtype, int padding, WeightImage* image) {
  using Places = WeightImage::Places;
  return std::visit(Overloaded{
                        [&](const NormalizeOp& op) { return image->AddAffine(op.affine); },
                        [&](const Conv2dOp& op) { return image->AddConvolution(op, dtype, padding); },
                        [&](const LinearOp& op) { return image->AddLinear(op, dtype); },
                        [&](const BatchNormOp& op) { return image->AddBatchNorm(op); },
                        [&](const auto&) { return Places(); },
                    },
                    op);
}

void Upload(const std::vector<unsigned char>& from, char* to, Device& device) {
  const std::unique_ptr<Buffer> pinned = device.AllocatePinned(std::min(from.size(), kUploadSlice));
  const std::unique_ptr<Event> copied = device.NewEvent();
  const std::unique_ptr<Stream> stream = device.NewStream();
  for (size_t done = 0; done < from.size(); done += kUploadSlice) {
    const size_t bytes = std::min(kUploadSlice, from.size() - done);
    std::memcpy(pinned->data(), from.data() + done, bytes);
    stream->CopyToDevice(to + done, pinned->data(), bytes);
    stream->Record(*copied);
    copied->Synchronize();
  }
}

}  // namespace

Network::Network(Graph graph, DType dtype, Device& device, DeviceMemory& memory)
    : graph_(OptimizeForGpu(std::move(graph), dtype)), dtype_(dtype), stored_(graph_.nodes.size()) {
  ChooseStorage();
  UploadParameters(device, memory);
}

void Network::UploadParameters(Device& device, DeviceMemory& memory) {
  WeightImage image;
  std::vector<WeightImage::Places> places, output_places(graph_.nodes.size());
  for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); ++id) {
    Node& node = graph_.nodes[id];
    places.push_back(AddParametersOf(id, &image));
    ReleaseWeights(node.op);
    if (node.quantization && IsOutput(graph_, id)) {
      output_places[id] = AddDequantization(*node.quantization, &image);
    }
  }
  weights_ = memory.Allocate(image.bytes().size(), "the network's weights");
  Upload(image.bytes(), weights_->data(), device);
  for (const WeightImage::Places& place : places) parameters_.push_back(OperandsAt(place, weights_->data()));
  for (const WeightImage::Places& place : output_places) {
    output_parameters_.push_back(OperandsAt(place, weights_->data()));
  }
}

WeightImage::Places Network::AddParametersOf(NodeId id, WeightImage* image) const {
  const Node& node = graph_.nodes[id];
  const int padding = node.inputs.empty() ? 0 : PaddingOf(node.inputs[0]);
  if (WorksOnBytes(graph_, id)) return AddInt8Parameters(graph_, id, padding, image);
  return AddParameters(node.op, FloatType(), padding, image);
}

void Network::ChooseStorage() {
  input_has_step_ = IsOutput(graph_, 0);
  for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); ++id) {
    const Node& node = graph_.nodes[id];
    const bool reads_input = std::find(node.inputs.begin(), node.inputs.end(), 0) != node.inputs.end();
    input_has_step_ = input_has_step_ || (reads_input && !ReadsInput(id));
    // Results that only the user reads, of a layer that sums in float32 anyway, are not rounded.
    const bool last =
        std::holds_alternative<LinearOp>(node.op) && CountUses(graph_)[id] == (IsOutput(graph_, id) ? 1 : 0);
    const DType dtype = node.quantization ? DType::kInt8 : last ? DType::kFloat32 : FloatType();
    stored_[id] = {dtype, PaddingOfInput(id)};
  }
}

// Tensor cores read channels in vectors of 4 or 8: an image of 3 gets a fourth, where only convolutions see
// it.
int Network::PaddingOfInput(NodeId id) const {
  const auto can_pad = [](const Op& reader) {
    const auto* conv = std::get_if<Conv2dOp>(&reader);
    return conv && conv->groups == 1 && !conv->has_residual;
  };
  if (!ReadsInput(id) || IsOutput(graph_, id) || !AllReaders(graph_, id, can_pad)) return 0;
  const int channels = std::get<InputOp>(graph_.nodes[0].op).channels;
  const int vector = channels <= 4 ? 4 : 8;
  return (channels + vector - 1) / vector * vector - channels;
}

bool Network::ReadsInput(NodeId id) const {
  const Node& node = graph_.nodes[id];
  const bool quantizes = std::holds_alternative<QuantizeOp>(node.op);
  return id == 0 || std::holds_alternative<NormalizeOp>(node.op) || (quantizes && node.inputs[0] == 0);
}

Quantization Network::QuantizationOfInput(const Node& node) const {
  return graph_.nodes[node.inputs[0]].quantization.value_or(Quantization{});
}

size_t Network::StoredBytes(NodeId node, const TensorShape& shape) const {
  const int64_t elements = shape.n * shape.h * shape.w * (shape.c + PaddingOf(node));
  return static_cast<size_t>(elements) * ElementSize(StoredAs(node));
}

Operation Network::OperationOf(NodeId id, const std::vector<TensorShape>& shapes, InputForm form) const {
  const Node& node = graph_.nodes[id];
  const TensorShape& y = shapes[id];
  const TensorShape& x = node.inputs.empty() ? y : shapes[node.inputs[0]];
  const DType to = StoredAs(id), from = node.inputs.empty() ? to : StoredAs(node.inputs[0]);
  const bool bytes = from == DType::kInt8;
  const bool to_float = bytes && to == DType::kFloat32;
  const auto channels = static_cast<int>(x.c);
  const auto load = [&](bool normalize) -> Operation {
    return LoadInput{form.dtype,
                     to,
                     form.layout,
                     y.n,
                     y.h,
                     y.w,
                     static_cast<int>(y.c),
                     static_cast<int>(y.c) + PaddingOf(id),
                     normalize && form.dtype == DType::kUint8};
  };
  // All channels alike: bytes have one scale.
  const auto each = [&](bool residual, bool relu) -> Operation {
    const bool affine = bytes || to == DType::kInt8;
    return Elementwise{from, to, y.elements(), 1, affine, residual, relu};
  };
  return std::visit(
      Overloaded{
          [&](const InputOp&) { return load(false); },
          [&](const NormalizeOp&) { return load(true); },
          [&](const QuantizeOp&) { return ReadsInput(id) ? load(false) : each(false, false); },
          [&](const DequantizeOp&) { return each(false, false); },
          [&](const Conv2dOp& op) -> Operation {
            return Convolution{from,
                               x.n,
                               x.h,
                               x.w,
                               channels + PaddingOf(node.inputs[0]),
                               op.out_channels,
                               op.groups,
                               op.window,
                               op.has_residual,
                               op.relu,
                               QuantizationOfInput(node).zero_point,
                               to_float};
          },
          [&](const BatchNormOp&) -> Operation {
            return Elementwise{from, to, y.elements(), channels, true, false, false};
          },
          [&](const ReluOp&) { return each(false, true); },
          [&](const AddOp& op) { return each(true, op.relu); },
          [&](const MaxPool2dOp& op) -> Operation { return MaxPool{to, x.n, x.h, x.w, channels, op.window}; },
          [&](const GlobalAvgPoolOp&) -> Operation {
            return AveragePool{from, x.n, x.h * x.w, channels, to_float};
          },
          [&](const FlattenOp&) -> Operation {
            return ToNchw{from, to, x.n, x.h * x.w, channels};
          },
          [&](const LinearOp& op) -> Operation {
            return Linear{from, to, x.n, op.in_features, op.out_features};
          },
          [&](const ZeroPadShortcutOp& op) -> Operation {
            return ZeroPadShortcut{to,        x.n,
                                   x.h,       x.w,
                                   channels,  op.out_channels,
                                   op.stride, QuantizationOfInput(node).zero_point};
          },
      },
      node.op);
}

ToNchw Network::OutputOf(NodeId node, const std::vector<TensorShape>& shapes) const {
  const TensorShape& shape = shapes[node];
  return {StoredAs(node), DType::kFloat32, shape.n, shape.h * shape.w, static_cast<int>(shape.c)};
}

int64_t MacsOf(const Operation& operation) {
  if (const auto* conv = std::get_if<Convolution>(&operation)) {
    const int64_t taps = int64_t{conv->window.kernel_h} * conv->window.kernel_w;
    return conv->OutShape().elements() * taps * (conv->in_channels / conv->groups);
  }
  if (const auto* linear = std::get_if<Linear>(&operation)) {
    return linear->rows * linear->in_features * linear->out_features;
  }
  return 0;
}

}  // namespace resnet_native::cuda
