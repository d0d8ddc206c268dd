#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "native/tensor.h"
#include "native/weight_source.h"

// The network as plain data. A Graph is built by the addon from the traced TypeScript graph, rewritten by the
// passes (native/graph/passes/: functions from Graph to Graph) and then compiled by a backend into a plan.
//
// Weights of convolutions are in torch's order [out_channels][in_channels / groups][kernel_h][kernel_w];
// backends pack them as they like.

namespace resnet_native {

struct Window {
  int kernel_h = 1, kernel_w = 1;
  int stride_h = 1, stride_w = 1;
  int pad_h = 0, pad_w = 0;
  int dilation_h = 1, dilation_w = 1;

  // Rows and columns from the first that it sees to the last.
  int64_t ExtentH() const { return int64_t{dilation_h} * (kernel_h - 1) + 1; }
  int64_t ExtentW() const { return int64_t{dilation_w} * (kernel_w - 1) + 1; }
  int64_t OutH(int64_t h) const { return (h + 2 * pad_h - ExtentH()) / stride_h + 1; }
  int64_t OutW(int64_t w) const { return (w + 2 * pad_w - ExtentW()) / stride_w + 1; }
  // True if an output pixel depends on the input pixel at its own place only.
  bool IsPointwise() const { return kernel_h == 1 && kernel_w == 1 && pad_h == 0 && pad_w == 0; }
  bool operator==(const Window&) const = default;
};

// y = x * scale[channel] + shift[channel], in float32.
struct ChannelAffine {
  std::vector<float> scale, shift;
};

// The batch of images that a run brings: uint8 or float32.
struct InputOp {
  int channels = 3;
};

// uint8 pixels become (x / 255 - mean) / std, computed as x * scale + shift; float32 input passes unchanged,
// because the API takes it as already normalised.
struct NormalizeOp {
  ChannelAffine affine;
};

// How a tensor is held as bytes: x = (q - zero_point) * scale.
struct Quantization {
  float scale = 1.0f;
  int zero_point = 0;  // 0 for values that are never negative, else 128

  bool operator==(const Quantization&) const = default;
};

// The filters of a convolution or a fully connected layer: values[o][...] * channel_scale[o], rounded to
// float32 once. Batch norm is folded into the scale, so that a backend applies it while packing and no second
// copy of the weights is ever made; so are the scales of weights that a file holds as int8.
struct Filters {
  WeightSource values;
  std::vector<double> channel_scale;  // empty: 1
  bool int8 = false;                  // integers: what the pass Quantize may multiply with bytes

  double Scale(int out_channel) const { return channel_scale.empty() ? 1.0 : channel_scale[out_channel]; }
};

// inputs: x and, if `has_residual`, a tensor of the convolution's shape. y = relu?(conv(x) + bias +
// residual), of which `max_pool` takes the largest values.
struct Conv2dOp {
  Window window;
  int in_channels = 0, out_channels = 0, groups = 1;
  Filters filters;
  Weight bias;  // empty: none
  bool has_residual = false;
  bool relu = false;
  std::optional<Window> max_pool;  // set by the pass FuseMaxPool; as a MaxPool2dOp's
  // Set when a NormalizeOp was folded in: x is the run's input and is normalised while it is read. Padding is
  // zero *after* normalisation.
  std::optional<ChannelAffine> input_normalize;
  // Set by the pass Quantize: x is held as bytes like this, which int8 filters multiply (quantization.h).
  std::optional<Quantization> input_quantization;

  // Of the result for x, before it is pooled.
  TensorShape ConvolvedShape(const TensorShape& x) const {
    return {x.n, window.OutH(x.h), window.OutW(x.w), out_channels, 4};
  }
};

// Inference batch norm: y = (x - running_mean) / sqrt(running_var + eps) * weight + bias. An empty weight is
// 1, an empty bias 0.
struct BatchNormOp {
  Weight weight, bias, running_mean, running_var;
  double eps = 1e-5;
};

struct ReluOp {};

struct MaxPool2dOp {
  Window window;  // padding never wins: it counts as -infinity
};

struct GlobalAvgPoolOp {};

// torch.flatten(x, 1): [n, c, h, w] becomes [n, c * h * w], in NCHW order.
struct FlattenOp {};

struct LinearOp {
  int in_features = 0, out_features = 0;
  Filters filters;                                 // [out_features][in_features]
  Weight bias;                                     // empty: none
  std::optional<Quantization> input_quantization;  // as a convolution's
};

struct AddOp {
  bool relu = false;
};

// The paper's option A shortcut: x[:, :, ::stride, ::stride] with zero channels appended up to out_channels.
struct ZeroPadShortcutOp {
  int stride = 1, out_channels = 0;
};

// float32 to the bytes of the node's quantization, and back. Only the pass Quantize makes them.
struct QuantizeOp {
  // Set where x is the run's input, which is normalised while it is read.
  std::optional<ChannelAffine> input_normalize;
};
struct DequantizeOp {};

using Op = std::variant<InputOp, NormalizeOp, Conv2dOp, BatchNormOp, ReluOp, MaxPool2dOp, GlobalAvgPoolOp,
                        FlattenOp, LinearOp, AddOp, ZeroPadShortcutOp, QuantizeOp, DequantizeOp>;

// "conv2d", "relu", …: for messages, plans and printed graphs.
const char* OpName(const Op& op);

using NodeId = int;

struct Node {
  std::string name;  // torchvision's, unique; a fused node has the name of the last node it absorbed
  std::vector<NodeId> inputs;
  Op op;
  float scale = 0;  // of its result in int8, as calibration found it; 0: the result stays float32
  std::optional<Quantization> quantization;  // how its result is held, after the pass Quantize; none: float32
};

// Nodes in topological order: every input comes before its user. nodes[0] is the InputOp, and there is only
// one. `outputs` are the nodes that the user asked for, in the order asked; passes never fold them away.
struct Graph {
  std::vector<Node> nodes;
  std::vector<NodeId> outputs;
};

// Throws kInvalidArgument if the graph breaks what is said above or an operation's sizes disagree with its
// weights. What a backend gets has passed this.
void Validate(const Graph& graph);

// The shape of every node for a batch of n images of h × w. Throws kInvalidShape, naming the node, where the
// network cannot take that size.
std::vector<TensorShape> InferShapes(const Graph& graph, int64_t n, int64_t h, int64_t w);

// One line a node: `name = op(inputs) attributes -> …`. What the tests of the passes compare.
std::string ToString(const Graph& graph);

// Lets an operation's weights go: for a backend that has packed them.
void ReleaseWeights(Op& op);

// How often each node is read by others (an output counts as one more read).
std::vector<int> CountUses(const Graph& graph);

}  // namespace resnet_native
