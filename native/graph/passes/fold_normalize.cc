#include "native/graph/passes/passes.h"

namespace resnet_native {

Graph FoldNormalize(Graph graph) {
  for (Node& node : graph.nodes) {
    auto* conv = std::get_if<Conv2dOp>(&node.op);
    if (!conv || conv->input_normalize) continue;
    const Node& producer = graph.nodes[node.inputs[0]];
    const auto* normalize = std::get_if<NormalizeOp>(&producer.op);
    if (!normalize || producer.inputs[0] != 0) continue;
    conv->input_normalize = normalize->affine;
    node.inputs[0] = 0;
  }
  return EliminateDead(std::move(graph));
}

}  // namespace resnet_native
