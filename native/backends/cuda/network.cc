#include "native/backends/cuda/network.h"

#include <algorithm>
#include <cstring>

#include "native/backends/cuda/weights.h"
#include "native/graph/overloaded.h"
#include "native/graph/passes/passes.h"

namespace resnet_native::cuda {
namespace {

// Of pinned memory, while weights are uploaded.
constexpr size_t kUploadSlice = size_t{16} << 20;

// Not FoldNormalize: here the normalisation is the kernel that loads the input.
Graph OptimizeForGpu(Graph graph) { return FuseEpilogue(FoldBatchNorm(EliminateDead(std::move(graph)))); }

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
    : graph_(OptimizeForGpu(std::move(graph))), dtype_(dtype), stored_(graph_.nodes.size()) {
  ChooseStorage();
  WeightImage image;
  std::vector<WeightImage::Places> places;
  for (Node& node : graph_.nodes) {
    const int padding = node.inputs.empty() ? 0 : PaddingOf(node.inputs[0]);
    places.push_back(AddParameters(node.op, dtype_, padding, &image));
    ReleaseWeights(node.op);
  }
  weights_ = memory.Allocate(image.bytes().size(), "the network's weights");
  Upload(image.bytes(), weights_->data(), device);
  for (const WeightImage::Places& place : places) parameters_.push_back(OperandsAt(place, weights_->data()));
}

void Network::ChooseStorage() {
  const auto is_normalize = [](const Op& op) { return std::holds_alternative<NormalizeOp>(op); };
  input_has_step_ = IsOutput(graph_, 0) || !AllReaders(graph_, 0, is_normalize);
  for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); ++id) {
    // Results that only the user reads, of a layer that sums in float32 anyway, are not rounded.
    const bool last = std::holds_alternative<LinearOp>(graph_.nodes[id].op) &&
                      CountUses(graph_)[id] == (IsOutput(graph_, id) ? 1 : 0);
    stored_[id] = {last ? DType::kFloat32 : dtype_, PaddingOfInput(id)};
  }
}

// Tensor cores read channels in vectors of 4 or 8: an image of 3 gets a fourth, where only convolutions see
// it.
int Network::PaddingOfInput(NodeId id) const {
  const Op& op = graph_.nodes[id].op;
  const bool loads = std::holds_alternative<NormalizeOp>(op) || std::holds_alternative<InputOp>(op);
  const auto can_pad = [](const Op& reader) {
    const auto* conv = std::get_if<Conv2dOp>(&reader);
    return conv && conv->groups == 1 && !conv->has_residual;
  };
  if (!loads || IsOutput(graph_, id) || !AllReaders(graph_, id, can_pad)) return 0;
  const int channels = std::get<InputOp>(graph_.nodes[0].op).channels;
  const int vector = channels <= 4 ? 4 : 8;
  return (channels + vector - 1) / vector * vector - channels;
}

bool Network::ReadsInput(NodeId node) const {
  return node == 0 || std::holds_alternative<NormalizeOp>(graph_.nodes[node].op);
}

size_t Network::StoredBytes(NodeId node, const TensorShape& shape) const {
  const int64_t elements = shape.n * shape.h * shape.w * (shape.c + PaddingOf(node));
  return static_cast<size_t>(elements) * ElementSize(StoredAs(node));
}

Operation Network::OperationOf(NodeId id, const std::vector<TensorShape>& shapes, InputForm form) const {
  const Node& node = graph_.nodes[id];
  const TensorShape& y = shapes[id];
  const TensorShape& x = node.inputs.empty() ? y : shapes[node.inputs[0]];
  const DType dtype = dtype_;
  const auto load = [&](bool normalize) -> Operation {
    return LoadInput{form.dtype,
                     dtype,
                     form.layout,
                     y.n,
                     y.h,
                     y.w,
                     static_cast<int>(y.c),
                     static_cast<int>(y.c) + PaddingOf(id),
                     normalize && form.dtype == DType::kUint8};
  };
  const auto channels = static_cast<int>(x.c);
  return std::visit(Overloaded{
                        [&](const InputOp&) { return load(false); },
                        [&](const NormalizeOp&) { return load(true); },
                        [&](const Conv2dOp& op) -> Operation {
                          return Convolution{dtype,
                                             x.n,
                                             x.h,
                                             x.w,
                                             channels + PaddingOf(node.inputs[0]),
                                             op.out_channels,
                                             op.groups,
                                             op.window,
                                             op.has_residual,
                                             op.relu};
                        },
                        [&](const BatchNormOp&) -> Operation {
                          return ScaleShift{dtype, x.n * x.h * x.w, channels, true, false};
                        },
                        [&](const ReluOp&) -> Operation {
                          return ScaleShift{dtype, x.n * x.h * x.w, channels, false, true};
                        },
                        [&](const MaxPool2dOp& op) -> Operation {
                          return MaxPool{dtype, x.n, x.h, x.w, channels, op.window};
                        },
                        [&](const GlobalAvgPoolOp&) -> Operation {
                          return AveragePool{dtype, x.n, x.h * x.w, channels};
                        },
                        [&](const FlattenOp&) -> Operation {
                          return ToNchw{dtype, dtype, x.n, x.h * x.w, channels};
                        },
                        [&](const LinearOp& op) -> Operation {
                          return Linear{dtype, StoredAs(id), x.n, op.in_features, op.out_features};
                        },
                        [&](const AddOp& op) -> Operation {
                          return AddTensors{dtype, y.elements(), op.relu};
                        },
                        [&](const ZeroPadShortcutOp& op) -> Operation {
                          return ZeroPadShortcut{dtype, x.n, x.h, x.w, channels, op.out_channels, op.stride};
                        },
                        [](const auto&) -> Operation {
                          throw Error(ErrorCode::kInternal, "CUDA networks are not quantised by the passes");
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
