#include <gtest/gtest.h>

#include <map>

#include "native/error.h"
#include "native/graph/passes/passes.h"
#include "test/native/support/graph_builder.h"

namespace resnet_native {
namespace {

using testing::GraphBuilder;

const Window k3{3, 3, 1, 1, 1, 1, 1, 1};

// Gives nodes scales by name, as calibration does.
Graph WithScales(Graph graph, const std::map<std::string, float>& scales) {
  testing::MakeFiltersInt8(graph);
  for (Node& node : graph.nodes) {
    const auto found = scales.find(node.name);
    if (found != scales.end()) node.scale = found->second;
  }
  return graph;
}

// stem, pool, a block with a shortcut, the classifier.
Graph Block(std::vector<std::string> outputs = {"fc"}) {
  GraphBuilder b;
  NodeId x = b.Add("relu", {b.Conv("conv1", 0, 8, k3, 1, true)}, ReluOp{});
  x = b.Add("maxpool", {x}, MaxPool2dOp{{3, 3, 2, 2, 1, 1, 1, 1}});
  NodeId y = b.Add("relu1", {b.Conv("conv2", x, 8, k3)}, ReluOp{});
  y = b.Conv("conv3", y, 8, k3);
  x = b.Add("relu2", {b.Add("add", {y, x}, AddOp{})}, ReluOp{});
  x = b.Add("flatten", {b.Add("avgpool", {x}, GlobalAvgPoolOp{})}, FlattenOp{});
  b.Linear("fc", x, 8, 10);
  return b.BuildNamed(outputs);
}

const std::map<std::string, float> kScales = {{"x", 0.02f},       {"relu", 0.03f},    {"maxpool", 0.03f},
                                              {"relu1", 0.04f},   {"conv3", 0.05f},   {"relu2", 0.06f},
                                              {"avgpool", 0.01f}, {"flatten", 0.01f}, {"fc", 0.1f}};

TEST(Quantize, KeepsBytesFromTheInputToTheLogits) {
  const Graph before = Optimize(WithScales(Block(), kScales));
  EXPECT_EQ(ToString(before),
            "x = input() 3\n"
            "relu = conv2d(x) 3x3 pad 1 3->8 bias relu\n"
            "maxpool = max_pool2d(relu) 3x3 stride 2 pad 1\n"
            "relu1 = conv2d(maxpool) 3x3 pad 1 8->8 relu\n"
            "relu2 = conv2d(relu1, maxpool) 3x3 pad 1 8->8 residual relu\n"
            "avgpool = global_avg_pool(relu2)\n"
            "flatten = flatten(avgpool)\n"
            "fc = linear(flatten) 8->10 bias\n"
            "outputs: fc\n");
  const Graph after = Quantize(before);
  EXPECT_EQ(ToString(after),
            "x = input() 3\n"
            "x.quantized = quantize(x) -> signed 0.02\n"
            "relu = conv2d(x.quantized) 3x3 pad 1 3->8 int8 bias relu -> unsigned 0.03\n"
            "maxpool = max_pool2d(relu) 3x3 stride 2 pad 1 -> unsigned 0.03\n"
            "relu1 = conv2d(maxpool) 3x3 pad 1 8->8 int8 relu -> unsigned 0.04\n"
            "relu2 = conv2d(relu1, maxpool) 3x3 pad 1 8->8 int8 residual relu -> unsigned 0.06\n"
            "avgpool = global_avg_pool(relu2) -> unsigned 0.01\n"
            "flatten = flatten(avgpool) -> unsigned 0.01\n"
            "fc = linear(flatten) 8->10 int8 bias\n"
            "outputs: fc\n");
  Validate(after);
  EXPECT_EQ(*std::get<Conv2dOp>(after.nodes[2].op).input_quantization, (Quantization{0.02f, 128}));
  EXPECT_EQ(*std::get<Conv2dOp>(after.nodes[4].op).input_quantization, (Quantization{0.03f, 0}));
}

TEST(Quantize, NormalisesTheInputOnceForAllWhoReadIt) {
  GraphBuilder b;
  const NodeId x = b.Add("normalize", {0}, NormalizeOp{{{1, 1, 1}, {0, 0, 0}}});
  const NodeId first = b.Conv("conv1", x, 4), second = b.Conv("conv2", x, 4);
  const Graph after = Quantize(Optimize(WithScales(b.Build({first, second}), {{"x", 0.02f}})));
  EXPECT_EQ(ToString(after),
            "x = input() 3\n"
            "x.normalized = quantize(x) normalize -> signed 0.02\n"
            "conv1 = conv2d(x.normalized) 1x1 3->4 int8\n"
            "conv2 = conv2d(x.normalized) 1x1 3->4 int8\n"
            "outputs: conv1 conv2\n");
  Validate(after);
}

// A layer stays in float32 if its filters do: here the first and the last. What only they read stays as
// exact.
TEST(Quantize, ConvertsAtTheSeams) {
  Graph graph = WithScales(Block(), kScales);
  for (Node& node : graph.nodes) {
    if (node.name == "conv1") std::get<Conv2dOp>(node.op).filters.int8 = false;
    if (node.name == "fc") std::get<LinearOp>(node.op).filters.int8 = false;
  }
  EXPECT_EQ(ToString(Quantize(Optimize(graph))),
            "x = input() 3\n"
            "relu = conv2d(x) 3x3 pad 1 3->8 bias relu\n"
            "maxpool = max_pool2d(relu) 3x3 stride 2 pad 1\n"
            "maxpool.quantized = quantize(maxpool) -> unsigned 0.03\n"
            "relu1 = conv2d(maxpool.quantized) 3x3 pad 1 8->8 int8 relu -> unsigned 0.04\n"
            "relu2 = conv2d(relu1, maxpool.quantized) 3x3 pad 1 8->8 int8 residual relu -> unsigned 0.06\n"
            "avgpool = global_avg_pool(relu2)\n"
            "flatten = flatten(avgpool)\n"
            "fc = linear(flatten) 8->10 bias\n"
            "outputs: fc\n");
}

TEST(Quantize, DequantizesForWhatStaysFloat) {
  GraphBuilder b;
  const NodeId conv = b.Conv("conv", 0, 4);
  const NodeId bn = b.BatchNorm("bn", conv);
  const NodeId sum = b.Add("sum", {conv, bn}, AddOp{});
  const NodeId padded = b.Add("padded", {b.Add("relu", {sum}, ReluOp{})}, ZeroPadShortcutOp{2, 6}, 6);
  const Graph graph =
      WithScales(b.Build({b.Conv("last", padded, 2)}),
                 {{"x", 0.5f}, {"conv", 0.25f}, {"bn", 0.75f}, {"sum", 1}, {"relu", 2}, {"padded", 2}});
  // Not optimised, so that there is a standalone batch norm, addition and ReLU.
  EXPECT_EQ(ToString(Quantize(graph)),
            "x = input() 3\n"
            "x.quantized = quantize(x) -> signed 0.5\n"
            "conv = conv2d(x.quantized) 1x1 3->4 int8 -> signed 0.25\n"
            "conv.dequantized = dequantize(conv)\n"
            "bn = batch_norm(conv.dequantized)\n"
            "bn.quantized = quantize(bn) -> signed 0.75\n"
            "sum = add(conv, bn.quantized) -> signed 1\n"
            "relu = relu(sum) -> unsigned 2\n"
            "padded = zero_pad_shortcut(relu) stride 2 ->6 -> unsigned 2\n"
            "last = conv2d(padded) 1x1 6->2 int8\n"
            "outputs: last\n");
}

// What the user asks for is there, also where it was not calibrated.
TEST(Quantize, AnUncalibratedOutputIsFloat) {
  const Graph after = Quantize(Optimize(WithScales(Block({"add", "relu1", "fc"}), kScales)));
  EXPECT_EQ(ToString(after),
            "x = input() 3\n"
            "x.quantized = quantize(x) -> signed 0.02\n"
            "relu = conv2d(x.quantized) 3x3 pad 1 3->8 int8 bias relu -> unsigned 0.03\n"
            "maxpool = max_pool2d(relu) 3x3 stride 2 pad 1 -> unsigned 0.03\n"
            "relu1 = conv2d(maxpool) 3x3 pad 1 8->8 int8 relu -> unsigned 0.04\n"
            "add = conv2d(relu1, maxpool) 3x3 pad 1 8->8 int8 residual\n"
            "relu2 = relu(add)\n"
            "avgpool = global_avg_pool(relu2)\n"
            "flatten = flatten(avgpool)\n"
            "flatten.quantized = quantize(flatten) -> unsigned 0.01\n"
            "fc = linear(flatten.quantized) 8->10 int8 bias\n"
            "outputs: add relu1 fc\n");
}

TEST(Quantize, NamesOfConversionsAreNew) {
  GraphBuilder b;
  const NodeId bn = b.BatchNorm("bn", 0);
  const NodeId other = b.Add("bn.quantized", {bn}, ReluOp{});
  const Graph graph = WithScales(b.Build({b.Conv("conv", bn, 2), other}), {{"bn", 1}});
  Validate(Quantize(graph));
}

TEST(Quantize, RefusesAGraphWithoutScales) {
  try {
    Quantize(Block());
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("compile with `calibration` images"), std::string::npos);
  }
}

}  // namespace
}  // namespace resnet_native
