#include <algorithm>

#include "native/error.h"
#include "native/graph/overloaded.h"
#include "native/graph/passes/passes.h"
#include "native/graph/quantization.h"

namespace resnet_native {
namespace {

constexpr NodeId kNone = -1;

// Where a node of the old graph is in the new one, in each of its two forms.
struct Forms {
  NodeId floats = kNone, bytes = kNone;
};

// Whether somebody reads a node's result as bytes.
std::vector<bool> WantedAsBytes(const Graph& graph) {
  std::vector<bool> wanted(graph.nodes.size(), false);
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    const Node& reader = graph.nodes[i];
    const bool wants = std::visit(Overloaded{
                                      [](const Conv2dOp& op) { return op.filters.int8; },
                                      [](const LinearOp& op) { return op.filters.int8; },
                                      [&](const MaxPool2dOp&) { return bool{wanted[i]}; },
                                      [&](const FlattenOp&) { return bool{wanted[i]}; },
                                      [&](const ZeroPadShortcutOp&) { return bool{wanted[i]}; },
                                      [](const GlobalAvgPoolOp&) { return true; },
                                      [](const ReluOp&) { return true; },
                                      [](const AddOp&) { return true; },
                                      [](const auto&) { return false; },
                                  },
                                  reader.op);
    for (NodeId input : reader.inputs) wanted[input] = wanted[input] || wants;
  }
  return wanted;
}

class Quantizer {
 public:
  explicit Quantizer(Graph graph)
      : old_(std::move(graph)),
        wanted_(WantedAsBytes(old_)),
        non_negative_(NonNegativeNodes(old_)),
        forms_(old_.nodes.size()) {}

  Graph Run() {
    for (size_t i = 0; i < old_.nodes.size(); ++i) Place(static_cast<NodeId>(i));
    for (NodeId output : old_.outputs) {
      const Forms& forms = forms_[output];
      new_.outputs.push_back(forms.floats != kNone ? forms.floats : forms.bytes);
    }
    return std::move(new_);
  }

 private:
  void Place(NodeId id) {
    Node& node = old_.nodes[id];
    const bool placed = std::visit(Overloaded{
                                       [&](Conv2dOp& op) { return PlaceConv(id, op); },
                                       [&](LinearOp& op) { return PlaceLinear(id, op); },
                                       [&](const MaxPool2dOp&) { return PlaceSameScale(id); },
                                       [&](const FlattenOp&) { return PlaceSameScale(id); },
                                       [&](const ZeroPadShortcutOp&) { return PlaceSameScale(id); },
                                       [&](const GlobalAvgPoolOp&) { return PlaceRescaling(id); },
                                       [&](const ReluOp&) { return PlaceRescaling(id); },
                                       [&](const AddOp&) { return PlaceRescaling(id); },
                                       [](const auto&) { return false; },
                                   },
                                   node.op);
    if (!placed) PlaceFloat(id);
  }

  bool PlaceConv(NodeId id, Conv2dOp& op) {
    const Node& node = old_.nodes[id];
    const int64_t products = int64_t{op.window.kernel_h} * op.window.kernel_w * (op.in_channels / op.groups);
    if (!op.filters.int8 || products > kMaxInt8Products || !AllCanBeBytes(node)) return false;
    std::vector<NodeId> inputs = {op.input_normalize ? NormalizedBytes(*op.input_normalize)
                                                     : Bytes(node.inputs[0])};
    op.input_normalize.reset();
    op.input_quantization = new_.nodes[inputs[0]].quantization;
    if (op.has_residual) inputs.push_back(Bytes(node.inputs[1]));
    PlaceWithOwnScale(id, std::move(inputs));
    return true;
  }

  bool PlaceLinear(NodeId id, LinearOp& op) {
    const Node& node = old_.nodes[id];
    if (!op.filters.int8 || op.in_features > kMaxInt8Products || !AllCanBeBytes(node)) return false;
    const NodeId x = Bytes(node.inputs[0]);
    op.input_quantization = new_.nodes[x].quantization;
    PlaceWithOwnScale(id, {x});
    return true;
  }

  // The result holds nothing but values of the input, so it keeps their scale.
  bool PlaceSameScale(NodeId id) {
    const NodeId x = forms_[old_.nodes[id].inputs[0]].bytes;
    if (x == kNone) return false;
    PlaceAs(id, {x}, new_.nodes[x].quantization);
    return true;
  }

  // What has no weights is worth computing in bytes if its first operand is there in bytes.
  bool PlaceRescaling(NodeId id) {
    const Node& node = old_.nodes[id];
    if (forms_[node.inputs[0]].bytes == kNone || !AllCanBeBytes(node)) return false;
    std::vector<NodeId> inputs;
    for (NodeId input : node.inputs) inputs.push_back(Bytes(input));
    PlaceWithOwnScale(id, std::move(inputs));
    return true;
  }

  void PlaceFloat(NodeId id) {
    std::vector<NodeId> inputs;
    for (NodeId input : old_.nodes[id].inputs) inputs.push_back(Floats(input));
    PlaceAs(id, std::move(inputs), std::nullopt);
  }

  // A result that only the user reads, or a layer in higher precision, stays as exact as it is.
  void PlaceWithOwnScale(NodeId id, std::vector<NodeId> inputs) {
    const bool bytes = old_.nodes[id].scale > 0 && wanted_[id];
    PlaceAs(id, std::move(inputs), bytes ? std::optional(CalibratedQuantization(id)) : std::nullopt);
  }

  void PlaceAs(NodeId id, std::vector<NodeId> inputs, std::optional<Quantization> quantization) {
    Node node = std::move(old_.nodes[id]);
    old_.nodes[id].name = node.name;
    old_.nodes[id].scale = node.scale;
    node.inputs = std::move(inputs);
    node.quantization = quantization;
    (quantization ? forms_[id].bytes : forms_[id].floats) = Append(std::move(node));
  }

  NodeId Bytes(NodeId id) {
    NodeId& bytes = forms_[id].bytes;
    if (bytes == kNone) {
      bytes = AppendQuantize(id, {});
    }
    return bytes;
  }

  // The run's input, which convolutions that read it normalise, all in the same way.
  NodeId NormalizedBytes(const ChannelAffine& normalize) {
    if (normalized_input_ == kNone) normalized_input_ = AppendQuantize(0, normalize);
    return normalized_input_;
  }

  NodeId AppendQuantize(NodeId id, const std::optional<ChannelAffine>& normalize) {
    const std::string name = UnusedName(old_.nodes[id].name + (normalize ? ".normalized" : ".quantized"));
    return Append({name, {forms_[id].floats}, QuantizeOp{normalize}, 0, CalibratedQuantization(id)});
  }

  NodeId Floats(NodeId id) {
    NodeId& floats = forms_[id].floats;
    if (floats == kNone) {
      floats = Append({UnusedName(old_.nodes[id].name + ".dequantized"), {forms_[id].bytes}, DequantizeOp{}});
    }
    return floats;
  }

  NodeId Append(Node node) {
    new_.nodes.push_back(std::move(node));
    return static_cast<NodeId>(new_.nodes.size()) - 1;
  }

  bool AllCanBeBytes(const Node& node) const {
    for (NodeId input : node.inputs) {
      if (forms_[input].bytes == kNone && !(old_.nodes[input].scale > 0)) return false;
    }
    return true;
  }

  Quantization CalibratedQuantization(NodeId id) const {
    return {old_.nodes[id].scale, non_negative_[id] ? 0 : kSignedZeroPoint};
  }

  std::string UnusedName(std::string name) const {
    const auto taken = [&] {
      for (const Node& node : old_.nodes) {
        if (node.name == name) return true;
      }
      return false;
    };
    while (taken()) name += '_';
    return name;
  }

  Graph old_, new_;
  const std::vector<bool> wanted_;
  const std::vector<bool> non_negative_;
  std::vector<Forms> forms_;
  NodeId normalized_input_ = kNone;
};

}  // namespace

std::vector<bool> NonNegativeNodes(const Graph& graph) {
  std::vector<bool> non_negative(graph.nodes.size());
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const auto inputs = [&] {
      return std::all_of(node.inputs.begin(), node.inputs.end(), [&](NodeId id) { return non_negative[id]; });
    };
    non_negative[i] = std::visit(Overloaded{
                                     [](const ReluOp&) { return true; },
                                     [](const Conv2dOp& op) { return op.relu; },
                                     [&](const AddOp& op) { return op.relu || inputs(); },
                                     [&](const MaxPool2dOp&) { return inputs(); },
                                     [&](const GlobalAvgPoolOp&) { return inputs(); },
                                     [&](const FlattenOp&) { return inputs(); },
                                     [&](const ZeroPadShortcutOp&) { return inputs(); },
                                     [](const auto&) { return false; },
                                 },
                                 node.op);
  }
  return non_negative;
}

Graph Quantize(Graph graph) {
  bool calibrated = false;
  for (const Node& node : graph.nodes) calibrated = calibrated || node.scale > 0;
  if (!calibrated) {
    throw Error(ErrorCode::kInvalidArgument,
                "int8 needs the scales of the network's values, and the model has none: compile with "
                "`calibration` images, or quantise the model once and load the file");
  }
  return Quantizer(std::move(graph)).Run();
}

}  // namespace resnet_native
