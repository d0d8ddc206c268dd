#include "native/graph/passes/passes.h"

namespace resnet_native {

Graph EliminateDead(Graph graph) {
  std::vector<bool> needed(graph.nodes.size(), false);
  needed[0] = true;  // a graph always has its input
  for (NodeId output : graph.outputs) needed[output] = true;
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    if (!needed[i]) continue;
    for (NodeId input : graph.nodes[i].inputs) needed[input] = true;
  }

  Graph kept;
  std::vector<NodeId> renumbered(graph.nodes.size(), 0);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!needed[i]) continue;
    renumbered[i] = static_cast<NodeId>(kept.nodes.size());
    kept.nodes.push_back(std::move(graph.nodes[i]));
    for (NodeId& input : kept.nodes.back().inputs) input = renumbered[input];
  }
  for (NodeId output : graph.outputs) kept.outputs.push_back(renumbered[output]);
  return kept;
}

}  // namespace resnet_native
