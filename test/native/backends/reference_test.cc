#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "test/native/support/graph_builder.h"
#include "test/native/support/run.h"

// The reference kernels are the truth for all others, so here they are held against results worked out by
// hand.

namespace resnet_native {
namespace {

using testing::GraphBuilder;
using testing::OwnedInput;
using testing::RunGraph;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

std::vector<float> RunOne(GraphBuilder& b, NodeId output, const OwnedInput& input,
                          Layout layout = Layout::kNhwc) {
  return RunGraph(ReferenceBackend(), b.Build({output}), input, {}, layout).at(0);
}

Conv2dOp Conv(int in, int out, Window window, std::vector<float> filters, int groups = 1) {
  Conv2dOp op;
  op.in_channels = in;
  op.out_channels = out;
  op.groups = groups;
  op.window = window;
  op.filters.values = Weight::Own(std::move(filters));
  return op;
}

TEST(Reference, ConvPadsWithZeros) {
  GraphBuilder b(1);
  const NodeId y = b.Add("conv", {0}, Conv(1, 1, {3, 3, 1, 1, 1, 1, 1, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9}));
  const OwnedInput x{{1, 2, 2, 1}, {1, 10, 100, 1000}, {}};
  EXPECT_EQ(RunOne(b, y, x), (std::vector<float>{9865, 8754, 6532, 5421}));
}

TEST(Reference, ConvStridesDilatesAndGroups) {
  GraphBuilder b(2);
  const NodeId y = b.Add("conv", {0}, Conv(2, 2, {1, 2, 1, 2, 0, 0, 1, 2}, {1, 10, 2, 20}, 2));
  const OwnedInput x{{1, 1, 5, 2}, {1, -1, 2, -2, 3, -3, 4, -4, 5, -5}, {}};
  EXPECT_EQ(RunOne(b, y, x), (std::vector<float>{31, 53, -62, -106}));
}

TEST(Reference, ConvAddsBiasAndResidualThenAppliesRelu) {
  GraphBuilder b(1);
  Conv2dOp op = Conv(1, 1, {}, {2});
  op.filters.channel_scale = {0.5};
  op.bias = Weight::Own({1});
  op.has_residual = op.relu = true;
  const NodeId y = b.Add("conv", {0, 0}, op);
  EXPECT_EQ(RunOne(b, y, {{1, 1, 3, 1}, {1, -3, kNaN}, {}}).at(0), 3);
  EXPECT_EQ(RunOne(b, y, {{1, 1, 3, 1}, {1, -3, kNaN}, {}}).at(1), 0);
  EXPECT_TRUE(std::isnan(RunOne(b, y, {{1, 1, 3, 1}, {1, -3, kNaN}, {}}).at(2)));
}

TEST(Reference, NormalizesBytesAndLeavesFloats) {
  const ChannelAffine affine{{2, 3}, {1, -1}};
  GraphBuilder b(2);
  const NodeId y = b.Add("normalize", {0}, NormalizeOp{affine});
  EXPECT_EQ(RunOne(b, y, {{1, 1, 2, 2}, {}, {0, 1, 2, 255}}), (std::vector<float>{1, 5, 2, 764}));
  EXPECT_EQ(RunOne(b, y, {{1, 1, 2, 2}, {0, 1, 2, 3}, {}}), (std::vector<float>{0, 2, 1, 3}));
  EXPECT_EQ(RunOne(b, y, {{1, 1, 2, 2}, {0, 1, 2, 3}, {}}, Layout::kNchw), (std::vector<float>{0, 1, 2, 3}));
}

TEST(Reference, MaxPoolIgnoresPaddingAndKeepsNaN) {
  GraphBuilder b(1);
  const NodeId y = b.Add("pool", {0}, MaxPool2dOp{Window{3, 3, 2, 2, 1, 1, 1, 1}});
  EXPECT_EQ(RunOne(b, y, {{1, 3, 3, 1}, {-1, -2, -3, -4, -5, -6, -7, -8, -9}, {}}),
            (std::vector<float>{-1, -2, -4, -5}));
  const auto with_nan = RunOne(b, y, {{1, 3, 3, 1}, {kNaN, 2, 3, 4, 5, 6, 7, 8, 9}, {}});
  EXPECT_TRUE(std::isnan(with_nan[0]));
  EXPECT_EQ(with_nan[3], 9);
}

TEST(Reference, TheHeadPoolsFlattensAndMultiplies) {
  GraphBuilder b(2);
  const NodeId pool = b.Add("avgpool", {0}, GlobalAvgPoolOp{});
  const NodeId flat = b.Add("flatten", {pool}, FlattenOp{});
  const NodeId fc =
      b.Add("fc", {flat}, LinearOp{2, 3, {Weight::Own({1, 0, 0, 1, 1, 1}), {}}, Weight::Own({0, 0, 100})}, 3);
  const OwnedInput x{{2, 1, 2, 2}, {1, 10, 3, 30, 5, 50, 7, 70}, {}};
  EXPECT_EQ(RunOne(b, fc, x), (std::vector<float>{2, 20, 122, 6, 60, 166}));
}

TEST(Reference, FlattenIsInTorchsOrder) {
  GraphBuilder b(2);
  const NodeId flat = b.Add("flatten", {0}, FlattenOp{});
  EXPECT_EQ(RunOne(b, flat, {{1, 1, 3, 2}, {1, 2, 3, 4, 5, 6}, {}}), (std::vector<float>{1, 3, 5, 2, 4, 6}));
}

TEST(Reference, BatchNormAddAndShortcut) {
  GraphBuilder b(1);
  const NodeId bn = b.Add(
      "bn", {0}, BatchNormOp{Weight::Own({2}), Weight::Own({1}), Weight::Own({3}), Weight::Own({4}), 0.0});
  EXPECT_EQ(RunOne(b, bn, {{1, 1, 2, 1}, {3, 7}, {}}), (std::vector<float>{1, 5}));
  const NodeId sum = b.Add("sum", {0, bn}, AddOp{true});
  EXPECT_EQ(RunOne(b, sum, {{1, 1, 3, 1}, {3, 7, -9}, {}}), (std::vector<float>{4, 12, 0}));
  const NodeId pad = b.Add("pad", {0}, ZeroPadShortcutOp{2, 2}, 2);
  EXPECT_EQ(RunOne(b, pad, {{1, 3, 3, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9}, {}}),
            (std::vector<float>{1, 3, 7, 9, 0, 0, 0, 0}));
}

TEST(Reference, TimesItsStepsAndStopsWhenCancelled) {
  GraphBuilder b(1);
  const auto plan = ReferenceBackend().Compile(b.Build({b.Add("relu", {0}, ReluOp{})}), {});
  const auto context = plan->NewContext(plan);
  const OwnedInput x = testing::RandomInput({1, 4, 4, 1});
  std::vector<float> y(16);
  std::vector<double> times;
  RunRequest request{x.Batch(), {y.data()}, nullptr, &times};
  testing::RunAndWait(*context, request);
  EXPECT_EQ(times.size(), plan->Describe().size());

  const std::atomic<bool> cancelled = true;
  request.cancelled = &cancelled;
  EXPECT_THROW(testing::RunAndWait(*context, request), Error);
}

TEST(Reference, ComputesInFloat32AndInt8Only) {
  GraphBuilder b(1);
  CompileOptions options;
  options.dtype = DType::kBfloat16;
  EXPECT_THROW(ReferenceBackend().Compile(b.Build({b.Add("relu", {0}, ReluOp{})}), options), Error);
}

}  // namespace
}  // namespace resnet_native
