#include "native/graph/passes/passes.h"

namespace resnet_native {
namespace {

bool IsInput(const Graph& graph, NodeId id) {
  const Node& node = graph.nodes[id];
  return id == 0 || (std::holds_alternative<QuantizeOp>(node.op) && node.inputs[0] == 0);
}

bool CanTakeMaxPool(const Graph& graph, const std::vector<int>& uses, NodeId id) {
  const Node& node = graph.nodes[id];
  const auto* conv = std::get_if<Conv2dOp>(&node.op);
  return conv && !conv->has_residual && !conv->max_pool && uses[id] == 1 && IsInput(graph, node.inputs[0]);
}

}  // namespace

Graph FuseMaxPool(Graph graph) {
  const std::vector<int> uses = CountUses(graph);
  for (Node& node : graph.nodes) {
    const auto* pool = std::get_if<MaxPool2dOp>(&node.op);
    if (!pool || !CanTakeMaxPool(graph, uses, node.inputs[0])) continue;
    const Node& host = graph.nodes[node.inputs[0]];
    Conv2dOp conv = std::get<Conv2dOp>(host.op);
    conv.max_pool = pool->window;
    node.inputs = std::vector<NodeId>(host.inputs);
    node.op = std::move(conv);
  }
  return EliminateDead(std::move(graph));
}

}  // namespace resnet_native
