#pragma once

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "native/graph/graph.h"

namespace resnet_native::testing {

// Builds small graphs by name, with random parameters from a fixed seed.
class GraphBuilder {
 public:
  explicit GraphBuilder(int channels = 3, uint32_t seed = 1) : random_(seed) {
    Add("x", {}, InputOp{channels});
    channels_.push_back(channels);
  }

  NodeId Conv(const std::string& name, NodeId x, int out_channels, Window window = {}, int groups = 1,
              bool bias = false) {
    Conv2dOp op;
    op.window = window;
    op.in_channels = channels_[x];
    op.out_channels = out_channels;
    op.groups = groups;
    const int fan_in = window.kernel_h * window.kernel_w * op.in_channels / groups;
    op.filters.values = Uniform(static_cast<size_t>(fan_in) * out_channels, std::sqrt(3.0f / fan_in));
    if (bias) op.bias = Uniform(out_channels, 1.0f);
    return Add(name, {x}, op, out_channels);
  }

  NodeId BatchNorm(const std::string& name, NodeId x) {
    const size_t channels = channels_[x];
    return Add(name, {x},
               BatchNormOp{Uniform(channels, 0.5f, 1.0f), Uniform(channels, 0.5f), Uniform(channels, 0.5f),
                           Uniform(channels, 0.4f, 0.5f), 1e-5},
               channels_[x]);
  }

  NodeId Linear(const std::string& name, NodeId x, int in_features, int out_features) {
    return Add(
        name, {x},
        LinearOp{
            in_features,
            out_features,
            {Uniform(static_cast<size_t>(in_features) * out_features, 1.0f / std::sqrt(in_features)), {}},
            Uniform(out_features, 1.0f)},
        out_features);
  }

  // An operation without parameters; its channels are those of its first input unless said otherwise.
  NodeId Add(const std::string& name, std::vector<NodeId> inputs, Op op, int channels = 0) {
    if (channels == 0 && !inputs.empty()) channels = channels_[inputs[0]];
    if (!inputs.empty()) channels_.push_back(channels);
    graph_.nodes.push_back({name, std::move(inputs), std::move(op)});
    return static_cast<NodeId>(graph_.nodes.size()) - 1;
  }

  Graph Build(std::vector<NodeId> outputs) {
    graph_.outputs = std::move(outputs);
    return graph_;
  }

  Graph BuildNamed(const std::vector<std::string>& outputs) {
    std::vector<NodeId> ids;
    for (const std::string& name : outputs) {
      for (size_t i = 0; i < graph_.nodes.size(); ++i) {
        if (graph_.nodes[i].name == name) ids.push_back(static_cast<NodeId>(i));
      }
    }
    return Build(std::move(ids));
  }

  Weight Uniform(size_t size, float spread, float centre = 0.0f) {
    std::uniform_real_distribution<float> distribution(centre - spread, centre + spread);
    std::vector<float> values(size);
    for (float& value : values) value = distribution(random_);
    return Weight::Own(std::move(values));
  }

 private:
  std::mt19937 random_;
  Graph graph_;
  std::vector<int> channels_;
};

// Says of all filters that they are int8, as those of a quantised file.
inline void MakeFiltersInt8(Graph& graph) {
  for (Node& node : graph.nodes) {
    if (auto* conv = std::get_if<Conv2dOp>(&node.op)) conv->filters.int8 = true;
    if (auto* linear = std::get_if<LinearOp>(&node.op)) linear->filters.int8 = true;
  }
}

// A strided basic block with a projection: conv-bn-relu-conv-bn + conv-bn, add, relu.
inline NodeId AddBlock(GraphBuilder& b, const std::string& name, NodeId x, int channels) {
  const Window k3s2{3, 3, 2, 2, 1, 1, 1, 1}, k3{3, 3, 1, 1, 1, 1, 1, 1}, k1s2{1, 1, 2, 2, 0, 0, 1, 1};
  NodeId y = b.BatchNorm(name + ".bn1", b.Conv(name + ".conv1", x, channels, k3s2));
  y = b.Add(name + ".relu", {y}, ReluOp{});
  y = b.BatchNorm(name + ".bn2", b.Conv(name + ".conv2", y, channels, k3));
  const NodeId identity =
      b.BatchNorm(name + ".downsample.1", b.Conv(name + ".downsample.0", x, channels, k1s2));
  y = b.Add(name + ".add", {y, identity}, AddOp{});
  return b.Add(name + ".relu_1", {y}, ReluOp{});
}

}  // namespace resnet_native::testing
