#include "native/graph/passes/passes.h"

namespace resnet_native {
namespace {

// A convolution whose result only one node reads, and that has no epilogue yet which must come last.
bool CanTakeResidual(const Graph& graph, const std::vector<int>& uses, NodeId id) {
  const auto* conv = std::get_if<Conv2dOp>(&graph.nodes[id].op);
  return conv && !conv->relu && !conv->has_residual && uses[id] == 1;
}

// add(conv(x), r) becomes conv(x, residual r), in the place of the add. Where both operands are convolutions
// the later one takes the other as its residual.
void FuseAdd(Graph& graph, const std::vector<int>& uses, Node& node) {
  const bool first_can = CanTakeResidual(graph, uses, node.inputs[0]);
  if (!first_can && !CanTakeResidual(graph, uses, node.inputs[1])) return;
  const NodeId host = node.inputs[first_can ? 0 : 1];
  const NodeId residual = node.inputs[first_can ? 1 : 0];
  Conv2dOp conv = std::get<Conv2dOp>(graph.nodes[host].op);
  conv.has_residual = true;
  node.inputs = {graph.nodes[host].inputs[0], residual};
  node.op = std::move(conv);
}

// relu(conv(x)) and relu(add(a, b)) become one operation, in the place of the relu.
void FuseRelu(Graph& graph, const std::vector<int>& uses, Node& node) {
  const NodeId id = node.inputs[0];
  if (uses[id] != 1) return;
  const Node& producer = graph.nodes[id];
  Op fused = producer.op;
  if (auto* conv = std::get_if<Conv2dOp>(&fused)) {
    conv->relu = true;
  } else if (auto* add = std::get_if<AddOp>(&fused)) {
    add->relu = true;
  } else {
    return;
  }
  node.inputs = std::vector<NodeId>(producer.inputs);
  node.op = std::move(fused);
}

}  // namespace

Graph FuseEpilogue(Graph graph) {
  // One walk is enough: an operand is fused before its user is looked at. What a fused node absorbed keeps
  // its count of uses, but nobody reads it any more.
  const std::vector<int> uses = CountUses(graph);
  for (Node& node : graph.nodes) {
    if (std::holds_alternative<AddOp>(node.op)) FuseAdd(graph, uses, node);
    if (std::holds_alternative<ReluOp>(node.op)) FuseRelu(graph, uses, node);
  }
  return EliminateDead(std::move(graph));
}

}  // namespace resnet_native
