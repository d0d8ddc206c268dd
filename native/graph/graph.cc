#include "native/graph/graph.h"

#include "native/graph/overloaded.h"

namespace resnet_native {

const char* OpName(const Op& op) {
  return std::visit(Overloaded{
                        [](const InputOp&) { return "input"; },
                        [](const NormalizeOp&) { return "normalize"; },
                        [](const Conv2dOp&) { return "conv2d"; },
                        [](const BatchNormOp&) { return "batch_norm"; },
                        [](const ReluOp&) { return "relu"; },
                        [](const MaxPool2dOp&) { return "max_pool2d"; },
                        [](const GlobalAvgPoolOp&) { return "global_avg_pool"; },
                        [](const FlattenOp&) { return "flatten"; },
                        [](const LinearOp&) { return "linear"; },
                        [](const AddOp&) { return "add"; },
                        [](const ZeroPadShortcutOp&) { return "zero_pad_shortcut"; },
                        [](const QuantizeOp&) { return "quantize"; },
                        [](const DequantizeOp&) { return "dequantize"; },
                    },
                    op);
}

void ReleaseWeights(Op& op) {
  std::visit(Overloaded{
                 [](Conv2dOp& op) {
                   op.filters = {};
                   op.bias = {};
                 },
                 [](LinearOp& op) {
                   op.filters = {};
                   op.bias = {};
                 },
                 [](BatchNormOp& op) { op.weight = op.bias = op.running_mean = op.running_var = {}; },
                 [](auto&) {},
             },
             op);
}

std::vector<int> CountUses(const Graph& graph) {
  std::vector<int> uses(graph.nodes.size(), 0);
  for (const Node& node : graph.nodes) {
    for (NodeId input : node.inputs) ++uses[input];
  }
  for (NodeId output : graph.outputs) ++uses[output];
  return uses;
}

}  // namespace resnet_native
