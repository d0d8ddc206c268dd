#include "native/graph/passes/passes.h"

namespace resnet_native {

Graph Optimize(Graph graph) {
  // Dead branches first, so that they do not count as readers of what could be fused.
  return FoldNormalize(FuseEpilogue(FoldBatchNorm(EliminateDead(std::move(graph)))));
}

}  // namespace resnet_native
