#include "native/graph/passes/passes.h"

#include <gtest/gtest.h>

#include "test/native/support/graph_builder.h"
#include "test/native/support/run.h"

namespace resnet_native {
namespace {

using testing::AddBlock;
using testing::GraphBuilder;

const Window k3{3, 3, 1, 1, 1, 1, 1, 1};
const ChannelAffine kNormalize{{0.017f, 0.0175f, 0.0174f}, {-2.1f, -2.0f, -1.8f}};

// The optimised network computes what the traced one computes.
void ExpectSameResults(const Graph& before, const Graph& after) {
  for (const bool bytes : {false, true}) {
    const auto input = testing::RandomInput({2, 11, 9, 3}, bytes);
    const auto expected = testing::RunGraph(ReferenceBackend(), before, input);
    const auto actual = testing::RunGraph(ReferenceBackend(), after, input);
    ASSERT_EQ(expected.size(), actual.size());
    for (size_t i = 0; i < expected.size(); ++i) testing::ExpectNear(expected[i], actual[i], 2e-6);
  }
}

TEST(EliminateDead, RemovesWhatLiesBehindTheLastOutput) {
  GraphBuilder b;
  const NodeId first = b.Conv("conv1", 0, 4, k3);
  const NodeId unused = b.Conv("side", first, 4);
  b.Add("after", {unused}, ReluOp{});
  const Graph graph = b.Build({first});
  EXPECT_EQ(ToString(graph),
            "x = input() 3\n"
            "conv1 = conv2d(x) 3x3 pad 1 3->4\n"
            "side = conv2d(conv1) 1x1 4->4\n"
            "after = relu(side)\n"
            "outputs: conv1\n");
  EXPECT_EQ(ToString(EliminateDead(graph)),
            "x = input() 3\n"
            "conv1 = conv2d(x) 3x3 pad 1 3->4\n"
            "outputs: conv1\n");
}

TEST(FoldBatchNorm, PutsScaleIntoFiltersAndShiftIntoBias) {
  GraphBuilder b;
  const NodeId y = b.BatchNorm("bn1", b.Conv("conv1", 0, 5, k3, 1, true));
  const Graph before = b.Build({y});
  EXPECT_EQ(ToString(before),
            "x = input() 3\n"
            "conv1 = conv2d(x) 3x3 pad 1 3->5 bias\n"
            "bn1 = batch_norm(conv1)\n"
            "outputs: bn1\n");
  const Graph after = FoldBatchNorm(before);
  EXPECT_EQ(ToString(after),
            "x = input() 3\n"
            "bn1 = conv2d(x) 3x3 pad 1 3->5 scale bias\n"
            "outputs: bn1\n");
  ExpectSameResults(before, after);
}

TEST(FoldBatchNorm, FoldsTwoInARow) {
  GraphBuilder b;
  const Graph before = b.Build({b.BatchNorm("bn2", b.BatchNorm("bn1", b.Conv("conv1", 0, 5, k3)))});
  const Graph after = FoldBatchNorm(before);
  EXPECT_EQ(after.nodes.size(), 2u);
  ExpectSameResults(before, after);
}

TEST(FoldBatchNorm, KeepsAConvolutionThatSomeoneElseReads) {
  GraphBuilder b;
  const NodeId conv = b.Conv("conv1", 0, 4);
  const NodeId bn = b.BatchNorm("bn1", conv);
  const Graph asked_for = b.Build({bn, conv});
  EXPECT_EQ(ToString(FoldBatchNorm(asked_for)), ToString(asked_for));
  const Graph read_twice = b.Build({b.Add("sum", {bn, conv}, AddOp{})});
  EXPECT_EQ(ToString(FoldBatchNorm(read_twice)), ToString(read_twice));
}

TEST(FoldBatchNorm, KeepsOneThatFollowsNoConvolution) {
  GraphBuilder b;
  const Graph graph = b.Build({b.BatchNorm("bn1", b.Add("relu", {0}, ReluOp{}))});
  EXPECT_EQ(ToString(FoldBatchNorm(graph)), ToString(graph));
}

TEST(FuseEpilogue, TakesResidualAndReluIntoTheFirstConvolution) {
  GraphBuilder b;
  const NodeId identity = b.Conv("downsample", 0, 4);
  const NodeId conv = b.Conv("conv2", 0, 4, k3);
  const NodeId sum = b.Add("add", {conv, identity}, AddOp{});
  const Graph before = b.Build({b.Add("relu", {sum}, ReluOp{})});
  EXPECT_EQ(ToString(before),
            "x = input() 3\n"
            "downsample = conv2d(x) 1x1 3->4\n"
            "conv2 = conv2d(x) 3x3 pad 1 3->4\n"
            "add = add(conv2, downsample)\n"
            "relu = relu(add)\n"
            "outputs: relu\n");
  const Graph after = FuseEpilogue(before);
  EXPECT_EQ(ToString(after),
            "x = input() 3\n"
            "downsample = conv2d(x) 1x1 3->4\n"
            "relu = conv2d(x, downsample) 3x3 pad 1 3->4 residual relu\n"
            "outputs: relu\n");
  ExpectSameResults(before, after);
}

TEST(FuseEpilogue, NeverFoldsAnOutputAway) {
  GraphBuilder b;
  const NodeId conv = b.Conv("conv1", 0, 3, k3);
  const NodeId sum = b.Add("add", {conv, 0}, AddOp{});
  const NodeId relu = b.Add("relu", {sum}, ReluOp{});
  EXPECT_EQ(ToString(FuseEpilogue(b.Build({conv, relu}))),
            "x = input() 3\n"
            "conv1 = conv2d(x) 3x3 pad 1 3->3\n"
            "relu = add(conv1, x) relu\n"
            "outputs: conv1 relu\n");
  EXPECT_EQ(ToString(FuseEpilogue(b.Build({sum, relu}))),
            "x = input() 3\n"
            "add = conv2d(x, x) 3x3 pad 1 3->3 residual\n"
            "relu = relu(add)\n"
            "outputs: add relu\n");
}

TEST(FuseEpilogue, AddsAfterReluStayApart) {
  GraphBuilder b;
  const NodeId relu = b.Add("relu", {b.Conv("conv1", 0, 3)}, ReluOp{});
  const Graph before = b.Build({b.Add("add", {relu, 0}, AddOp{})});
  const Graph after = FuseEpilogue(before);
  EXPECT_EQ(ToString(after),
            "x = input() 3\n"
            "relu = conv2d(x) 1x1 3->3 relu\n"
            "add = add(relu, x)\n"
            "outputs: add\n");
  ExpectSameResults(before, after);
}

TEST(FuseEpilogue, AResultAddedToItselfStaysAnAdd) {
  GraphBuilder b;
  const NodeId conv = b.Conv("conv1", 0, 3);
  const Graph before = b.Build({b.Add("add", {conv, conv}, AddOp{})});
  EXPECT_EQ(ToString(FuseEpilogue(before)), ToString(before));
}

TEST(FuseMaxPool, BecomesTheLastStepOfTheConvolutionThatReadsTheInput) {
  GraphBuilder b;
  const NodeId relu = b.Add("relu", {b.Conv("conv1", 0, 4, k3)}, ReluOp{});
  const NodeId pool = b.Add("maxpool", {relu}, MaxPool2dOp{{3, 3, 2, 2, 1, 1, 1, 1}});
  const Graph before = b.Build({b.Conv("conv2", pool, 5)});
  const Graph after = FuseMaxPool(FuseEpilogue(before));
  EXPECT_EQ(ToString(after),
            "x = input() 3\n"
            "maxpool = conv2d(x) 3x3 pad 1 3->4 relu max_pool 3x3 stride 2 pad 1\n"
            "conv2 = conv2d(maxpool) 1x1 4->5\n"
            "outputs: conv2\n");
  Validate(after);
  ExpectSameResults(before, after);
}

TEST(FuseMaxPool, KeepsAConvolutionThatIsAnOutputOrReadTwice) {
  GraphBuilder b;
  const NodeId conv = b.Conv("conv1", 0, 4);
  const NodeId pool = b.Add("maxpool", {conv}, MaxPool2dOp{{2, 2, 2, 2}});
  const Graph asked_for = b.Build({pool, conv});
  EXPECT_EQ(ToString(FuseMaxPool(asked_for)), ToString(asked_for));
  const Graph read_twice = b.Build({pool, b.Add("relu", {conv}, ReluOp{})});
  EXPECT_EQ(ToString(FuseMaxPool(read_twice)), ToString(read_twice));
}

TEST(FuseMaxPool, LeavesOtherConvolutionsAndASecondPool) {
  GraphBuilder b;
  const NodeId conv = b.Conv("conv2", b.Add("relu", {0}, ReluOp{}), 4);
  const Graph deeper = b.Build({b.Add("maxpool", {conv}, MaxPool2dOp{{2, 2, 2, 2}})});
  EXPECT_EQ(ToString(FuseMaxPool(deeper)), ToString(deeper));

  GraphBuilder two;
  const NodeId pool = two.Add("pool1", {two.Conv("conv1", 0, 4)}, MaxPool2dOp{{2, 2, 2, 2}});
  const Graph before = two.Build({two.Add("pool2", {pool}, MaxPool2dOp{{2, 2, 1, 1}})});
  EXPECT_EQ(ToString(FuseMaxPool(before)),
            "x = input() 3\n"
            "pool1 = conv2d(x) 1x1 3->4 max_pool 2x2 stride 2\n"
            "pool2 = max_pool2d(pool1) 2x2\n"
            "outputs: pool2\n");
}

TEST(FoldNormalize, IsDoneByTheConvolutionsThatReadTheInput) {
  GraphBuilder b;
  const NodeId x = b.Add("normalize", {0}, NormalizeOp{kNormalize});
  const NodeId stem = b.Conv("conv1", x, 4, Window{7, 7, 2, 2, 3, 3, 1, 1});
  const Graph before = b.Build({stem});
  EXPECT_EQ(ToString(before),
            "x = input() 3\n"
            "normalize = normalize(x)\n"
            "conv1 = conv2d(normalize) 7x7 stride 2 pad 3 3->4\n"
            "outputs: conv1\n");
  const Graph after = FoldNormalize(before);
  EXPECT_EQ(ToString(after),
            "x = input() 3\n"
            "conv1 = conv2d(x) 7x7 stride 2 pad 3 3->4 normalize\n"
            "outputs: conv1\n");
  ExpectSameResults(before, after);  // 11 × 9 pixels: most windows reach over the border
}

TEST(FoldNormalize, StaysForOtherReaders) {
  GraphBuilder b;
  const NodeId x = b.Add("normalize", {0}, NormalizeOp{kNormalize});
  const Graph before = b.Build({b.Conv("conv1", x, 4, k3), b.Add("relu", {x}, ReluOp{})});
  const Graph after = FoldNormalize(before);
  EXPECT_EQ(ToString(after),
            "x = input() 3\n"
            "normalize = normalize(x)\n"
            "conv1 = conv2d(x) 3x3 pad 1 3->4 normalize\n"
            "relu = relu(normalize)\n"
            "outputs: conv1 relu\n");
  ExpectSameResults(before, after);
}

TEST(Optimize, LeavesOneNodeForEachConvolutionOfABlock) {
  GraphBuilder b;
  NodeId y = b.Add("normalize", {0}, NormalizeOp{kNormalize});
  y = AddBlock(b, "layer1.0", y, 6);
  const Graph before = b.Build({y});
  const Graph after = Optimize(before);
  EXPECT_EQ(ToString(after),
            "x = input() 3\n"
            "layer1.0.relu = conv2d(x) 3x3 stride 2 pad 1 3->6 normalize scale bias relu\n"
            "layer1.0.downsample.1 = conv2d(x) 1x1 stride 2 3->6 normalize scale bias\n"
            "layer1.0.relu_1 = conv2d(layer1.0.relu, layer1.0.downsample.1) 3x3 pad 1 6->6 scale bias "
            "residual relu\n"
            "outputs: layer1.0.relu_1\n");
  Validate(after);
  ExpectSameResults(before, after);
}

}  // namespace
}  // namespace resnet_native
