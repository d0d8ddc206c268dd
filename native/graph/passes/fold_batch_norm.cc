#include <cmath>

#include "native/graph/passes/passes.h"

namespace resnet_native {
namespace {

// bn(conv(x)) = scale * (conv(x) + bias) + shift, channel by channel, with scale = weight / sqrt(var + eps).
// All in double: the only roundings are the filters' and the bias's own.
Conv2dOp Fold(const Conv2dOp& conv, const BatchNormOp& bn) {
  Conv2dOp folded = conv;
  folded.filters.channel_scale.resize(conv.out_channels);
  std::vector<float> bias(conv.out_channels);
  for (int o = 0; o < conv.out_channels; ++o) {
    const double gamma = bn.weight.empty() ? 1.0 : bn.weight[o];
    const double beta = bn.bias.empty() ? 0.0 : bn.bias[o];
    const double old_bias = conv.bias.empty() ? 0.0 : conv.bias[o];
    const double scale = gamma / std::sqrt(static_cast<double>(bn.running_var[o]) + bn.eps);
    folded.filters.channel_scale[o] = conv.filters.Scale(o) * scale;
    bias[o] = static_cast<float>((old_bias - bn.running_mean[o]) * scale + beta);
  }
  folded.bias = Weight::Own(std::move(bias));
  return folded;
}

}  // namespace

Graph FoldBatchNorm(Graph graph) {
  const std::vector<int> uses = CountUses(graph);
  for (Node& node : graph.nodes) {
    const auto* bn = std::get_if<BatchNormOp>(&node.op);
    if (!bn || uses[node.inputs[0]] != 1) continue;
    const Node& producer = graph.nodes[node.inputs[0]];
    const auto* conv = std::get_if<Conv2dOp>(&producer.op);
    if (!conv || conv->relu || conv->has_residual) continue;
    Op folded = Fold(*conv, *bn);
    node.inputs = std::vector<NodeId>(producer.inputs);
    node.op = std::move(folded);
  }
  return EliminateDead(std::move(graph));
}

}  // namespace resnet_native
