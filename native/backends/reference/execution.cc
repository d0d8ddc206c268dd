#include "native/backends/reference/execution.h"

#include <chrono>

#include "native/backends/reference/int8_kernels.h"
#include "native/backends/reference/kernels.h"
#include "native/graph/overloaded.h"

namespace resnet_native::reference {
namespace {

// One run of one batch: the results of the nodes so far.
class Execution {
 public:
  Execution(const Graph& graph, const std::vector<Int8Layer>& int8_layers, const RunRequest& request)
      : graph_(graph),
        int8_layers_(int8_layers),
        request_(request),
        shapes_(InferShapes(graph, request.input.n, request.input.h, request.input.w)),
        floats_(graph.nodes.size()),
        bytes_(graph.nodes.size()) {}

  void Run() {
    if (request_.step_ms) request_.step_ms->clear();
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (request_.cancelled && request_.cancelled->load())
        throw Error(ErrorCode::kAborted, "the run was cancelled");
      const auto start = std::chrono::steady_clock::now();
      RunNode(i);
      const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
      if (request_.step_ms) request_.step_ms->push_back(elapsed.count());
    }
    for (size_t i = 0; i < graph_.outputs.size(); ++i) StoreOutputOf(graph_.outputs[i], request_.outputs[i]);
  }

 private:
  bool IsBytes(NodeId id) const { return graph_.nodes[id].quantization.has_value(); }
  View FloatsOf(NodeId id) const { return {floats_[id].data(), shapes_[id]}; }
  ByteView BytesOf(NodeId id) const {
    return {bytes_[id].data(), shapes_[id], *graph_.nodes[id].quantization};
  }

  void RunNode(size_t i) {
    const Node& node = graph_.nodes[i];
    if (node.quantization) {
      bytes_[i].resize(shapes_[i].elements());
    } else {
      floats_[i].resize(shapes_[i].elements());
    }
    if (ReadsBytes(node)) {
      RunOnBytes(i);
    } else {
      RunOnFloats(i);
    }
  }

  bool ReadsBytes(const Node& node) const { return !node.inputs.empty() && IsBytes(node.inputs[0]); }

  void RunOnFloats(size_t i) {
    const Node& node = graph_.nodes[i];
    const TensorShape& shape = shapes_[i];
    float* y = floats_[i].data();
    const auto x = [&](size_t input) { return FloatsOf(node.inputs[input]); };
    std::visit(Overloaded{
                   [&](const InputOp&) { LoadInput(request_.input, nullptr, y); },
                   [&](const NormalizeOp& op) { LoadInput(request_.input, &op.affine, y); },
                   [&](const Conv2dOp& op) { RunConv(op, node, shape, y); },
                   [&](const BatchNormOp& op) { BatchNorm(op, x(0), y); },
                   [&](const ReluOp&) { Relu(x(0), y); },
                   [&](const MaxPool2dOp& op) { MaxPool2d(op, x(0), shape, y); },
                   [&](const GlobalAvgPoolOp&) { GlobalAvgPool(x(0), y); },
                   [&](const FlattenOp&) { Flatten(x(0), y); },
                   [&](const LinearOp& op) { Linear(op, x(0), y); },
                   [&](const AddOp& op) { Add(op, x(0), x(1), y); },
                   [&](const ZeroPadShortcutOp& op) { ZeroPadShortcut(op, x(0), shape, y); },
                   [&](const QuantizeOp& op) { RunQuantize(op, node, bytes_[i].data()); },
                   [](const DequantizeOp&) {},
               },
               node.op);
  }

  void RunConv(const Conv2dOp& op, const Node& node, const TensorShape& shape, float* y) {
    std::vector<float> normalized;
    View x = FloatsOf(node.inputs[0]);
    if (op.input_normalize) {
      normalized.resize(x.shape.elements());
      LoadInput(request_.input, &*op.input_normalize, normalized.data());
      x.data = normalized.data();
    }
    const float* residual = op.has_residual ? FloatsOf(node.inputs[1]).data : nullptr;
    if (!op.max_pool) return Conv2d(op, x, residual, shape, y);
    const TensorShape convolved = op.ConvolvedShape(x.shape);
    std::vector<float> values(convolved.elements());
    Conv2d(op, x, residual, convolved, values.data());
    MaxPool2d({*op.max_pool}, {values.data(), convolved}, shape, y);
  }

  void RunInt8Conv(const Conv2dOp& op, size_t i) {
    const Node& node = graph_.nodes[i];
    const Int8Layer& layer = int8_layers_[i];
    const ByteView x = BytesOf(node.inputs[0]);
    const uint8_t* residual = op.has_residual ? bytes_[node.inputs[1]].data() : nullptr;
    const TensorShape convolved = op.ConvolvedShape(x.shape);
    if (!op.max_pool) {
      Conv2dInt8(op, layer.filters, x, residual, {convolved, layer.to, bytes_[i].data(), floats_[i].data()});
      return;
    }
    std::vector<uint8_t> bytes(node.quantization ? convolved.elements() : 0);
    std::vector<float> floats(node.quantization ? 0 : convolved.elements());
    Conv2dInt8(op, layer.filters, x, residual, {convolved, layer.to, bytes.data(), floats.data()});
    const MaxPool2dOp pool{*op.max_pool};
    if (node.quantization) {
      MaxPool2dInt8(pool, {bytes.data(), convolved, *node.quantization}, shapes_[i], bytes_[i].data());
    } else {
      MaxPool2d(pool, {floats.data(), convolved}, shapes_[i], floats_[i].data());
    }
  }

  void RunQuantize(const QuantizeOp& op, const Node& node, uint8_t* y) {
    if (node.inputs[0] == 0) {
      QuantizeInput(request_.input, op.input_normalize, *node.quantization, y);
    } else {
      const View x = FloatsOf(node.inputs[0]);
      Quantize(x.data, x.shape.elements(), *node.quantization, y);
    }
  }

  void RunOnBytes(size_t i) {
    const Node& node = graph_.nodes[i];
    const TensorShape& shape = shapes_[i];
    uint8_t* y = bytes_[i].data();
    const auto x = [&] { return BytesOf(node.inputs[0]); };
    const auto output = [&](const Requantization& to) { return Int8Output{shape, to, y, floats_[i].data()}; };
    std::visit(Overloaded{
                   [&](const Conv2dOp& op) { RunInt8Conv(op, i); },
                   [&](const LinearOp& op) {
                     LinearInt8(op, int8_layers_[i].filters, x(), output(int8_layers_[i].to));
                   },
                   [&](const MaxPool2dOp& op) { MaxPool2dInt8(op, x(), shape, y); },
                   [&](const FlattenOp&) { FlattenInt8(x(), y); },
                   [&](const ZeroPadShortcutOp& op) { ZeroPadShortcutInt8(op, x(), shape, y); },
                   [&](const DequantizeOp&) { Dequantize(x(), floats_[i].data()); },
                   [&](const GlobalAvgPoolOp&) {
                     const int64_t pixels = x().shape.h * x().shape.w;
                     GlobalAvgPoolInt8(x(),
                                       output(RequantizeMean(x().quantization, pixels, node.quantization)));
                   },
                   [&](const ReluOp&) { Rescale(node, true, output); },
                   [&](const AddOp& op) { Rescale(node, op.relu, output); },
                   [](const auto&) {},
               },
               node.op);
  }

  template <class MakeOutput>
  void Rescale(const Node& node, bool relu, MakeOutput output) {
    const ByteView a = BytesOf(node.inputs[0]);
    const bool two = node.inputs.size() == 2;
    const auto b = two ? graph_.nodes[node.inputs[1]].quantization : std::nullopt;
    Requantization to = RequantizeSum(a.quantization, b, node.quantization);
    to.relu = relu;
    RescaleInt8(a, two ? bytes_[node.inputs[1]].data() : nullptr, output(to));
  }

  void StoreOutputOf(NodeId id, float* y) const {
    if (!IsBytes(id)) return StoreOutput(FloatsOf(id), y);
    std::vector<float> values(shapes_[id].elements());
    Dequantize(BytesOf(id), values.data());
    StoreOutput({values.data(), shapes_[id]}, y);
  }

  const Graph& graph_;
  const std::vector<Int8Layer>& int8_layers_;
  const RunRequest& request_;
  const std::vector<TensorShape> shapes_;
  // Of each node, the one that its result is held in.
  std::vector<std::vector<float>> floats_;
  std::vector<std::vector<uint8_t>> bytes_;
};

}  // namespace

std::vector<Int8Layer> MakeInt8Layers(const Graph& graph) {
  std::vector<Int8Layer> layers(graph.nodes.size());
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    Int8Layer& layer = layers[i];
    if (const auto* conv = std::get_if<Conv2dOp>(&node.op); conv && conv->input_quantization) {
      const auto residual = conv->has_residual ? graph.nodes[node.inputs[1]].quantization : std::nullopt;
      layer.filters = QuantizeFilters(conv->filters, conv->out_channels, node.name);
      layer.to = RequantizeProducts(layer.filters, conv->bias, *conv->input_quantization, residual,
                                    node.quantization);
      layer.to.relu = conv->relu;
    }
    if (const auto* linear = std::get_if<LinearOp>(&node.op); linear && linear->input_quantization) {
      layer.filters = QuantizeFilters(linear->filters, linear->out_features, node.name);
      layer.to =
          RequantizeProducts(layer.filters, linear->bias, *linear->input_quantization, {}, node.quantization);
    }
  }
  return layers;
}

void Execute(const Graph& graph, const std::vector<Int8Layer>& int8_layers, const RunRequest& request) {
  Execution(graph, int8_layers, request).Run();
}

}  // namespace resnet_native::reference
