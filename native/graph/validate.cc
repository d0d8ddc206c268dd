#include <cmath>
#include <limits>
#include <set>

#include "native/error.h"
#include "native/graph/graph.h"
#include "native/graph/overloaded.h"

namespace resnet_native {
namespace {

// No network of the family comes near it; with every size below it, products of four fit an int64_t.
constexpr int kMaxSize = 1 << 15;
constexpr int kMaxFeatures = 1 << 24;
// The channels of a tensor that was flattened while it still had an extent: they depend on the image's size.
constexpr int kUnknownChannels = 0;

[[noreturn]] void Fail(const Node& node, const std::string& what) {
  throw Error(ErrorCode::kInvalidArgument, "node \"" + node.name + "\" (" + OpName(node.op) + "): " + what);
}

void CheckRange(const Node& node, const char* what, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return;
  Fail(node, std::string("expected ") + what + " from " + std::to_string(low) + " to " +
                 std::to_string(high) + " but it is " + std::to_string(value));
}

void CheckSize(const Node& node, const char* what, size_t size, size_t expected) {
  if (size == expected) return;
  Fail(node, std::string("expected ") + std::to_string(expected) + " values in " + what + " but there are " +
                 std::to_string(size));
}

void CheckOptional(const Node& node, const char* what, const Weight& weight, size_t expected) {
  if (!weight.empty()) CheckSize(node, what, weight.size, expected);
}

void CheckWindow(const Node& node, const Window& window) {
  for (int kernel : {window.kernel_h, window.kernel_w})
    CheckRange(node, "a kernel size", kernel, 1, kMaxSize);
  for (int stride : {window.stride_h, window.stride_w}) CheckRange(node, "a stride", stride, 1, kMaxSize);
  for (int pad : {window.pad_h, window.pad_w}) CheckRange(node, "a padding", pad, 0, kMaxSize);
  for (int dilation : {window.dilation_h, window.dilation_w})
    CheckRange(node, "a dilation", dilation, 1, kMaxSize);
}

size_t Arity(const Op& op) {
  if (std::holds_alternative<InputOp>(op)) return 0;
  if (std::holds_alternative<AddOp>(op)) return 2;
  const auto* conv = std::get_if<Conv2dOp>(&op);
  return conv && conv->has_residual ? 2 : 1;
}

// What is known of a node's result before the image's size is.
struct Known {
  int channels = 0;
  int rank = 4;
};

// Checks one node against its inputs and says what comes out of it.
class Checker {
 public:
  Checker(const Node& node, const std::vector<Known>& known) : node_(node), known_(known) {}

  Known operator()(const InputOp& op) {
    CheckRange(node_, "channels", op.channels, 1, kMaxSize);
    return {op.channels, 4};
  }

  Known operator()(const NormalizeOp& op) {
    if (!std::holds_alternative<InputOp>(*input_op_)) Fail(node_, "only the graph's input is normalised");
    CheckAffine(op.affine, Image().channels);
    return Image();
  }

  Known operator()(const Conv2dOp& op) {
    CheckWindow(node_, op.window);
    CheckRange(node_, "in_channels", op.in_channels, 1, kMaxSize);
    CheckRange(node_, "out_channels", op.out_channels, 1, kMaxSize);
    CheckRange(node_, "groups", op.groups, 1, op.in_channels);
    if (op.in_channels % op.groups != 0 || op.out_channels % op.groups != 0) {
      Fail(node_, "groups must divide the channels, but there are " + std::to_string(op.groups) +
                      " groups for " + std::to_string(op.in_channels) + " → " +
                      std::to_string(op.out_channels) + " channels");
    }
    CheckChannels(Image(), op.in_channels);
    const size_t taps = static_cast<size_t>(op.window.kernel_h) * op.window.kernel_w;
    CheckFilters(op.filters, op.out_channels, taps * (op.in_channels / op.groups));
    CheckOptional(node_, "bias", op.bias, op.out_channels);
    if (op.input_normalize) {
      if (!std::holds_alternative<InputOp>(*input_op_)) Fail(node_, "only the graph's input is normalised");
      CheckAffine(*op.input_normalize, op.in_channels);
    }
    if (op.has_residual) CheckSame({op.out_channels, 4}, At(1));
    if (op.max_pool) CheckPooling(*op.max_pool);
    return {op.out_channels, 4};
  }

  Known operator()(const BatchNormOp& op) {
    const size_t channels = Image().channels;
    CheckSize(node_, "running_mean", op.running_mean.size, channels);
    CheckSize(node_, "running_var", op.running_var.size, channels);
    CheckOptional(node_, "weight", op.weight, channels);
    CheckOptional(node_, "bias", op.bias, channels);
    if (!std::isfinite(op.eps) || op.eps < 0) Fail(node_, "expected a finite eps of at least 0");
    return Image();
  }

  Known operator()(const ReluOp&) { return At(0); }

  Known operator()(const MaxPool2dOp& op) {
    CheckPooling(op.window);
    return Image();
  }

  Known operator()(const GlobalAvgPoolOp&) { return Image(); }

  Known operator()(const FlattenOp&) {
    const bool pooled = std::holds_alternative<GlobalAvgPoolOp>(*input_op_);
    return {pooled || At(0).rank == 2 ? At(0).channels : kUnknownChannels, 2};
  }

  Known operator()(const LinearOp& op) {
    CheckRange(node_, "in_features", op.in_features, 1, kMaxFeatures);
    CheckRange(node_, "out_features", op.out_features, 1, kMaxFeatures);
    if (At(0).rank != 2) Fail(node_, "expected flattened input; call flatten() before it");
    if (At(0).channels != kUnknownChannels) CheckChannels(At(0), op.in_features);
    CheckFilters(op.filters, op.out_features, op.in_features);
    CheckOptional(node_, "bias", op.bias, op.out_features);
    return {op.out_features, 2};
  }

  Known operator()(const AddOp&) {
    CheckSame(At(0), At(1));
    return At(0);
  }

  Known operator()(const ZeroPadShortcutOp& op) {
    CheckRange(node_, "a stride", op.stride, 1, kMaxSize);
    CheckRange(node_, "out_channels", op.out_channels, Image().channels, kMaxSize);
    return {op.out_channels, 4};
  }

  Known operator()(const QuantizeOp& op) {
    if (op.input_normalize) CheckAffine(*op.input_normalize, Image().channels);
    return At(0);
  }
  Known operator()(const DequantizeOp&) { return At(0); }

  Known Check(const Op* input_op) {
    input_op_ = input_op;
    return std::visit(*this, node_.op);
  }

 private:
  const Known& At(size_t i) const { return known_[node_.inputs[i]]; }

  const Known& Image() const {
    if (At(0).rank != 4) Fail(node_, "expected an image of rank 4 but its input was flattened");
    return At(0);
  }

  void CheckChannels(const Known& x, int expected) const {
    if (x.channels == expected) return;
    Fail(node_, "expected " + std::to_string(expected) + " input channels but its input has " +
                    std::to_string(x.channels));
  }

  void CheckSame(const Known& a, const Known& b) const {
    const bool known = a.channels != kUnknownChannels && b.channels != kUnknownChannels;
    if (a.rank == b.rank && (a.channels == b.channels || !known)) return;
    Fail(node_, "its inputs have different shapes: " + std::to_string(a.channels) + " and " +
                    std::to_string(b.channels) + " channels");
  }

  void CheckPooling(const Window& window) const {
    CheckWindow(node_, window);
    // As torch: otherwise a window could lie in the padding alone and have no largest value.
    if (2 * window.pad_h > window.kernel_h || 2 * window.pad_w > window.kernel_w) {
      Fail(node_, "padding must be at most half of the kernel size");
    }
  }

  void CheckFilters(const Filters& filters, size_t out_channels, size_t each) const {
    CheckSize(node_, "weight", filters.values.size(), each * out_channels);
    if (filters.channel_scale.empty()) return;
    CheckSize(node_, "the filters' scale", filters.channel_scale.size(), out_channels);
  }

  void CheckAffine(const ChannelAffine& affine, size_t channels) const {
    CheckSize(node_, "mean and std", affine.scale.size(), channels);
    CheckSize(node_, "mean and std", affine.shift.size(), channels);
  }

  const Node& node_;
  const std::vector<Known>& known_;
  const Op* input_op_ = nullptr;
};

void CheckStructure(const Graph& graph) {
  if (graph.nodes.empty() || !std::holds_alternative<InputOp>(graph.nodes[0].op)) {
    throw Error(ErrorCode::kInvalidArgument, "the first node of a graph must be its input");
  }
  std::set<std::string> names;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    if (node.name.empty() || !names.insert(node.name).second) Fail(node, "its name is empty or taken");
    if (i > 0 && std::holds_alternative<InputOp>(node.op)) Fail(node, "a graph has one input only");
    CheckSize(node, "inputs", node.inputs.size(), Arity(node.op));
    if (!std::isfinite(node.scale) || node.scale < 0) Fail(node, "expected a finite scale of at least 0");
    for (NodeId input : node.inputs)
      CheckRange(node, "an input's index", input, 0, static_cast<int64_t>(i) - 1);
  }
  if (graph.outputs.empty()) throw Error(ErrorCode::kInvalidArgument, "a graph needs at least one output");
  for (NodeId output : graph.outputs) {
    if (output < 0 || output >= static_cast<NodeId>(graph.nodes.size())) {
      throw Error(ErrorCode::kInvalidArgument,
                  "output " + std::to_string(output) + " is no node of the graph");
    }
  }
}

}  // namespace

void Validate(const Graph& graph) {
  if (graph.nodes.size() > static_cast<size_t>(std::numeric_limits<NodeId>::max())) {
    throw Error(ErrorCode::kInvalidArgument, "the graph has too many nodes");
  }
  CheckStructure(graph);
  std::vector<Known> known;
  known.reserve(graph.nodes.size());
  for (const Node& node : graph.nodes) {
    const Op* input_op = node.inputs.empty() ? nullptr : &graph.nodes[node.inputs[0]].op;
    known.push_back(Checker(node, known).Check(input_op));
  }
}

}  // namespace resnet_native
