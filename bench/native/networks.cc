#include "bench/native/networks.h"

#include <cmath>
#include <random>

#include "native/error.h"

namespace resnet_native::bench {
namespace {

class Builder {
 public:
  Builder() { graph_.nodes.push_back({"x", {}, InputOp{3}}); }

  NodeId Conv(const std::string& name, NodeId x, int in, int out, int kernel, int stride, int groups = 1) {
    Conv2dOp op;
    op.window = {kernel, kernel, stride, stride, kernel / 2, kernel / 2, 1, 1};
    op.in_channels = in;
    op.out_channels = out;
    op.groups = groups;
    const size_t fan_in = static_cast<size_t>(kernel) * kernel * in / groups;
    // Kaiming's: activations stay of one size through all layers.
    op.filters.values = Uniform(fan_in * out, std::sqrt(6.0f / static_cast<float>(fan_in)));
    op.bias = Uniform(out, 0.1f);
    return Add(name, {x}, op);
  }

  NodeId ConvRelu(const std::string& name, NodeId x, int in, int out, int kernel, int stride,
                  int groups = 1) {
    return Add(name + ".relu", {Conv(name, x, in, out, kernel, stride, groups)}, ReluOp{});
  }

  NodeId Add(const std::string& name, std::vector<NodeId> inputs, Op op) {
    graph_.nodes.push_back({name, std::move(inputs), std::move(op)});
    return static_cast<NodeId>(graph_.nodes.size()) - 1;
  }

  NodeId Linear(NodeId x, int in, int out) {
    return Add("fc", {x},
               LinearOp{in, out, {Uniform(static_cast<size_t>(in) * out, 0.05f), {}}, Uniform(out, 0.1f)});
  }

  Graph Build(NodeId output) {
    graph_.outputs = {output};
    return std::move(graph_);
  }

 private:
  Weight Uniform(size_t size, float spread) {
    std::uniform_real_distribution<float> uniform(-spread, spread);
    std::vector<float> values(size);
    for (float& value : values) value = uniform(random_);
    return Weight::Own(std::move(values));
  }

  std::mt19937 random_{1};
  Graph graph_;
};

// One residual block of `planes` × its expansion channels; `in` becomes the channels of its result.
NodeId AddBlock(Builder& b, const std::string& name, NodeId x, int& in, int planes, int stride,
                const NetworkOptions& options) {
  const bool bottleneck = options.depth == 50;
  const int out = bottleneck ? 4 * planes : planes;
  const int width = planes * options.width_per_group / 64 * options.groups;
  NodeId shortcut = x;
  if (stride != 1 || in != out) shortcut = b.Conv(name + ".downsample", x, in, out, 1, stride);
  NodeId y;
  if (bottleneck) {
    y = b.ConvRelu(name + ".conv1", x, in, width, 1, 1);
    y = b.ConvRelu(name + ".conv2", y, width, width, 3, stride, options.groups);
    y = b.Conv(name + ".conv3", y, width, out, 1, 1);
  } else {
    y = b.ConvRelu(name + ".conv1", x, in, width, 3, stride);
    y = b.Conv(name + ".conv2", y, width, out, 3, 1);
  }
  in = out;
  return b.Add(name + ".relu", {b.Add(name + ".add", {y, shortcut}, AddOp{})}, ReluOp{});
}

}  // namespace

Graph BuildResNet(const NetworkOptions& options) {
  if (options.depth != 18 && options.depth != 50) {
    throw Error(ErrorCode::kInvalidArgument,
                "expected depth 18 or 50 but got " + std::to_string(options.depth));
  }
  const bool bottleneck = options.depth == 50;
  const int blocks[4] = {bottleneck ? 3 : 2, bottleneck ? 4 : 2, bottleneck ? 6 : 2, bottleneck ? 3 : 2};
  Builder b;
  NodeId x = b.ConvRelu("conv1", 0, 3, 64, 7, 2);
  x = b.Add("maxpool", {x}, MaxPool2dOp{{3, 3, 2, 2, 1, 1, 1, 1}});
  int channels = 64;
  for (int stage = 0; stage < 4; ++stage) {
    for (int block = 0; block < blocks[stage]; ++block) {
      const std::string name = "layer" + std::to_string(stage + 1) + "." + std::to_string(block);
      const int stride = stage > 0 && block == 0 ? 2 : 1;
      x = AddBlock(b, name, x, channels, 64 << stage, stride, options);
    }
  }
  x = b.Add("flatten", {b.Add("avgpool", {x}, GlobalAvgPoolOp{})}, FlattenOp{});
  return b.Build(b.Linear(x, channels, 1000));
}

}  // namespace resnet_native::bench
