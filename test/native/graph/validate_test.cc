#include <gtest/gtest.h>

#include <limits>

#include "native/error.h"
#include "native/graph/graph.h"
#include "test/native/support/graph_builder.h"

namespace resnet_native {
namespace {

using testing::GraphBuilder;

// The message of the error that `call` throws; fails unless it is an Error of that code.
template <class Call>
std::string MessageOf(ErrorCode code, Call call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(ErrorCodeName(error.code()), std::string(ErrorCodeName(code)));
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

std::string Refused(const Graph& graph) {
  return MessageOf(ErrorCode::kInvalidArgument, [&] { Validate(graph); });
}

TEST(Validate, TakesABlock) {
  GraphBuilder b;
  Validate(b.Build({testing::AddBlock(b, "layer1.0", 0, 8)}));
}

TEST(Validate, RefusesBrokenStructure) {
  EXPECT_EQ(Refused(Graph{}), "the first node of a graph must be its input");
  GraphBuilder b;
  const NodeId relu = b.Add("relu", {0}, ReluOp{});
  EXPECT_EQ(Refused(b.Build({})), "a graph needs at least one output");
  EXPECT_EQ(Refused(b.Build({7})), "output 7 is no node of the graph");
  EXPECT_EQ(Refused(b.Build({-1})), "output -1 is no node of the graph");

  Graph forward = b.Build({relu});
  forward.nodes[1].inputs = {1};
  EXPECT_EQ(Refused(forward), "node \"relu\" (relu): expected an input's index from 0 to 0 but it is 1");
  Graph arity = b.Build({relu});
  arity.nodes[1].inputs = {0, 0};
  EXPECT_EQ(Refused(arity), "node \"relu\" (relu): expected 1 values in inputs but there are 2");
  Graph taken = b.Build({relu});
  taken.nodes[1].name = "x";
  EXPECT_EQ(Refused(taken), "node \"x\" (relu): its name is empty or taken");
  Graph two = b.Build({relu});
  two.nodes[1] = {"y", {}, InputOp{3}};
  EXPECT_EQ(Refused(two), "node \"y\" (input): a graph has one input only");
}

TEST(Validate, RefusesConvolutionsWhoseSizesDisagree) {
  const auto changed = [](auto change) {
    GraphBuilder b;
    Graph graph = b.Build({b.Conv("conv1", 0, 4, Window{3, 3, 1, 1, 1, 1, 1, 1})});
    change(std::get<Conv2dOp>(graph.nodes[1].op));
    return Refused(graph);
  };
  EXPECT_EQ(changed([](Conv2dOp& op) { op.in_channels = 4; }),
            "node \"conv1\" (conv2d): expected 4 input channels but its input has 3");
  EXPECT_EQ(changed([](Conv2dOp& op) { op.out_channels = 5; }),
            "node \"conv1\" (conv2d): expected 135 values in weight but there are 108");
  EXPECT_EQ(
      changed([](Conv2dOp& op) { op.groups = 2; }),
      "node \"conv1\" (conv2d): groups must divide the channels, but there are 2 groups for 3 → 4 channels");
  EXPECT_EQ(changed([](Conv2dOp& op) {
              op.bias = Weight::Own({1, 2, 3});
            }),
            "node \"conv1\" (conv2d): expected 4 values in bias but there are 3");
  EXPECT_EQ(changed([](Conv2dOp& op) { op.window.stride_h = 0; }),
            "node \"conv1\" (conv2d): expected a stride from 1 to 32768 but it is 0");
  EXPECT_EQ(changed([](Conv2dOp& op) { op.window.kernel_w = 1 << 30; }),
            "node \"conv1\" (conv2d): expected a kernel size from 1 to 32768 but it is 1073741824");
  EXPECT_EQ(changed([](Conv2dOp& op) { op.window.pad_w = -1; }),
            "node \"conv1\" (conv2d): expected a padding from 0 to 32768 but it is -1");
}

TEST(Validate, RefusesOtherOperationsWhoseSizesDisagree) {
  {
    GraphBuilder b;
    const NodeId conv = b.Conv("conv1", 0, 4);
    EXPECT_EQ(Refused(b.Build({b.Add("add", {conv, 0}, AddOp{})})),
              "node \"add\" (add): its inputs have different shapes: 4 and 3 channels");
  }
  {
    GraphBuilder b;
    EXPECT_EQ(Refused(b.Build({b.Linear("fc", 0, 3, 2)})),
              "node \"fc\" (linear): expected flattened input; call flatten() before it");
  }
  {
    GraphBuilder b;
    const NodeId flat = b.Add("flatten", {b.Add("avgpool", {0}, GlobalAvgPoolOp{})}, FlattenOp{});
    EXPECT_EQ(Refused(b.Build({b.Linear("fc", flat, 5, 2)})),
              "node \"fc\" (linear): expected 5 input channels but its input has 3");
  }
  {
    GraphBuilder b;
    const NodeId flat = b.Add("flatten", {0}, FlattenOp{});
    EXPECT_EQ(Refused(b.Build({b.Conv("conv1", flat, 3)})),
              "node \"conv1\" (conv2d): expected an image of rank 4 but its input was flattened");
  }
  {
    GraphBuilder b;
    EXPECT_EQ(Refused(b.Build({b.Add("pool", {0}, MaxPool2dOp{Window{3, 3, 2, 2, 2, 2, 1, 1}})})),
              "node \"pool\" (max_pool2d): padding must be at most half of the kernel size");
  }
  {
    GraphBuilder b;
    Graph graph = b.Build({b.BatchNorm("bn1", 0)});
    std::get<BatchNormOp>(graph.nodes[1].op).eps = std::numeric_limits<double>::quiet_NaN();
    EXPECT_EQ(Refused(graph), "node \"bn1\" (batch_norm): expected a finite eps of at least 0");
  }
  {
    GraphBuilder b;
    EXPECT_EQ(Refused(b.Build({b.Add("pad", {0}, ZeroPadShortcutOp{2, 2})})),
              "node \"pad\" (zero_pad_shortcut): expected out_channels from 3 to 32768 but it is 2");
  }
}

TEST(InferShapes, FollowsTheWindows) {
  GraphBuilder b;
  const NodeId stem = b.Conv("conv1", 0, 8, Window{7, 7, 2, 2, 3, 3, 1, 1});
  const NodeId pool = b.Add("maxpool", {stem}, MaxPool2dOp{Window{3, 3, 2, 2, 1, 1, 1, 1}});
  const NodeId dilated = b.Conv("conv2", pool, 8, Window{3, 3, 1, 1, 2, 2, 2, 2});
  const NodeId pad = b.Add("pad", {dilated}, ZeroPadShortcutOp{2, 16}, 16);
  const NodeId flat = b.Add("flatten", {b.Add("avgpool", {pad}, GlobalAvgPoolOp{})}, FlattenOp{});
  const Graph graph = b.Build({b.Linear("fc", flat, 16, 10)});
  const auto shapes = InferShapes(graph, 2, 97, 131);
  EXPECT_EQ(shapes[stem], (TensorShape{2, 49, 66, 8, 4}));
  EXPECT_EQ(shapes[pool], (TensorShape{2, 25, 33, 8, 4}));
  EXPECT_EQ(shapes[dilated], (TensorShape{2, 25, 33, 8, 4}));
  EXPECT_EQ(shapes[pad], (TensorShape{2, 13, 17, 16, 4}));
  EXPECT_EQ(shapes[flat], (TensorShape{2, 1, 1, 16, 2}));
  EXPECT_EQ(shapes.back(), (TensorShape{2, 1, 1, 10, 2}));
}

TEST(InferShapes, RefusesSizesTheNetworkCannotTake) {
  GraphBuilder b;
  const NodeId conv = b.Conv("conv1", 0, 8, Window{7, 7, 2, 2, 0, 0, 1, 1});
  const Graph graph = b.Build({b.Linear("fc", b.Add("flatten", {conv}, FlattenOp{}), 8, 10)});
  const auto refused = [&](int64_t n, int64_t h, int64_t w) {
    return MessageOf(ErrorCode::kInvalidShape, [&] { InferShapes(graph, n, h, w); });
  };
  EXPECT_EQ(refused(1, 6, 9),
            "node \"conv1\": its window of 7×7 does not fit its input [1, 3, 6, 9]; use larger images");
  EXPECT_EQ(refused(1, 9, 9), "node \"fc\": expected 8 features but its input is [1, 32]");
  EXPECT_EQ(refused(0, 7, 7), "node \"x\": expected sizes from 1 to 1048576 but the input is [0, 3, 7, 7]");
  EXPECT_EQ(refused(1, -7, 7), "node \"x\": expected sizes from 1 to 1048576 but the input is [1, 3, -7, 7]");
  EXPECT_EQ(
      refused(1 << 20, 1 << 20, 1 << 20),
      "node \"x\": its result [1048576, 3, 1048576, 1048576] is too large; use smaller images or batches");
}

}  // namespace
}  // namespace resnet_native
