#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "native/backends/reference/kernels.h"
#include "test/native/support/cpu_steps.h"

// Every convolution step on every instruction set against the reference, over shapes that no tile was made
// for.

namespace resnet_native::cpu {
namespace {

using namespace testing;

struct ConvCase {
  const char* what;
  TensorShape x;
  int out_channels;
  Window window;
  int groups = 1;
};

const ConvCase kConvs[] = {
    {"one of everything", {1, 1, 1, 1}, 1, Square(1)},
    {"1x1, whole tiles", {1, 6, 14, 32}, 64, Square(1)},
    {"1x1, a tail in every dimension", {1, 5, 7, 19}, 37, Square(1)},
    {"1x1 over a batch, tiles cross images", {5, 3, 3, 24}, 40, Square(1)},
    {"1x1 with padding", {1, 4, 5, 8}, 16, Square(1, 1, 2)},
    {"1x1 with stride 2", {2, 7, 9, 16}, 24, Square(1, 2)},
    {"1x1, panels of four vectors and of three", {1, 5, 7, 19}, 100, Square(1)},
    // A part takes an eighth of the second-level cache: these are cut where that has up to 2 MB.
    {"1x1, the sum cut in parts", {1, 1, 2, 9000}, 40, Square(1)},
    {"3x3", {1, 14, 14, 16}, 32, Square(3, 1, 1)},
    {"3x3, odd everything", {2, 9, 11, 13}, 17, Square(3, 1, 1)},
    {"3x3 with stride 2", {1, 15, 14, 20}, 33, Square(3, 2, 1)},
    {"3x3 with stride 3, no padding", {1, 13, 10, 5}, 9, Square(3, 3)},
    {"3x3 with dilation 2", {1, 9, 9, 12}, 16, Square(3, 1, 2, 2)},
    {"3x3 with dilation 3 and stride 2", {1, 12, 17, 6}, 8, Square(3, 2, 3, 3)},
    {"3x3 with more padding than kernel", {1, 4, 3, 7}, 10, Square(3, 1, 5)},
    {"3x3, several taps in a part", {1, 2, 2, 1500}, 8, Square(3, 1, 1)},
    {"3x3, each tap in several parts", {1, 2, 1, 8500}, 16, Square(3, 1, 1)},
    {"3x3 on one pixel", {3, 1, 1, 64}, 48, Square(3, 1, 1)},
    {"rectangular", {1, 8, 9, 10}, 11, {2, 5, 3, 2, 1, 0, 2, 1}},
    {"one input channel", {1, 10, 10, 1}, 16, Square(5, 1, 2)},
    {"one output channel", {1, 7, 7, 30}, 1, Square(3, 1, 1)},
    {"7x7 with stride 2", {1, 21, 19, 3}, 64, Square(7, 2, 3)},
    {"one row", {1, 1, 50, 9}, 12, Square(3, 1, 1)},
    {"one column", {1, 50, 1, 9}, 12, Square(3, 1, 1)},
    {"depthwise", {1, 9, 10, 37}, 37, Square(3, 1, 1), 37},
    {"groups of 2", {1, 9, 10, 22}, 22, Square(3, 1, 1), 11},
    {"groups of 4", {2, 7, 9, 128}, 128, Square(3, 1, 1), 32},
    {"groups of 4, tail", {1, 8, 5, 20}, 20, Square(3, 2, 1), 5},
    {"groups of 8", {1, 7, 9, 40}, 40, Square(3, 1, 1), 5},
    {"groups of 16, stride 2", {1, 8, 8, 64}, 64, Square(3, 2, 1), 4},
    {"groups of 32", {1, 7, 7, 96}, 96, Square(3, 1, 1), 3},
    {"groups of 5", {1, 6, 7, 15}, 15, Square(3, 1, 1), 3},
    {"groups that widen", {1, 6, 5, 8}, 24, Square(3, 1, 1), 4},
    {"groups that narrow", {1, 6, 5, 24}, 6, Square(1), 3},
    {"depthwise with dilation", {1, 11, 9, 16}, 16, Square(3, 1, 2, 2), 16},
};

class ConvStepTest : public EachIsa {};
RESNET_NATIVE_EACH_ISA(ConvStepTest);

TensorShape OutputOf(const ConvCase& conv) {
  return {conv.x.n, conv.window.OutH(conv.x.h), conv.window.OutW(conv.x.w), conv.out_channels};
}

TEST_P(ConvStepTest, MatchesReference) {
  for (const ConvCase& conv : kConvs) {
    SCOPED_TRACE(conv.what);
    const Activation x = RandomActivation(conv.x.n, conv.x.h, conv.x.w, conv.x.c);
    const TensorShape y = OutputOf(conv);
    const Activation residual = RandomActivation(y.n, y.h, y.w, y.c, 5);
    Conv2dOp op = RandomConv(static_cast<int>(x.shape.c), conv.out_channels, conv.window, conv.groups);
    std::vector<float> expected(y.elements());
    for (bool with_residual : {false, true}) {
      op.has_residual = with_residual;
      op.relu = with_residual;
      const Activation* added = with_residual ? &residual : nullptr;
      reference::Conv2d(op, {x.data.data(), x.shape}, added ? added->data.data() : nullptr, y,
                        expected.data());
      const std::vector<float> actual = RunStep(op, kernels(), 1, x, added, y);
      ExpectWithin(expected, actual, ConvTolerance(op, x, added, y));
      ExpectSameBits(actual, RunStep(op, kernels(), 3, x, added, y));
    }
  }
}

TEST_P(ConvStepTest, AnImageGivesTheSameBitsAloneAndInABatch) {
  const Activation batch = RandomActivation(3, 7, 7, 40);
  const Conv2dOp op = RandomConv(40, 24, Square(3, 1, 1));
  const std::vector<float> all = RunStep(op, kernels(), 1, batch, nullptr, {3, 7, 7, 24});
  const size_t image = 7 * 7 * 40, result = 7 * 7 * 24;
  for (size_t n = 0; n < 3; ++n) {
    const Activation one{{1, 7, 7, 40},
                         {batch.data.begin() + n * image, batch.data.begin() + (n + 1) * image}};
    const std::vector<float> expected(all.begin() + n * result, all.begin() + (n + 1) * result);
    ExpectSameBits(expected, RunStep(op, kernels(), 1, one, nullptr, {1, 7, 7, 24}));
  }
}

TEST_P(ConvStepTest, TakesNoBiasForZero) {
  const Activation x = RandomActivation(1, 5, 5, 9);
  Conv2dOp op = RandomConv(9, 21, Square(3, 1, 1));
  op.bias = {};
  std::vector<float> expected(5 * 5 * 21);
  reference::Conv2d(op, {x.data.data(), x.shape}, nullptr, {1, 5, 5, 21}, expected.data());
  ExpectWithin(expected, RunStep(op, kernels(), 1, x, nullptr, {1, 5, 5, 21}),
               ConvTolerance(op, x, nullptr, {1, 5, 5, 21}));
}

TEST_P(ConvStepTest, NaNReachesExactlyWhatItFeeds) {
  Activation x = RandomActivation(1, 6, 8, 12);
  x.data[(3 * 8 + 4) * 12 + 5] = std::numeric_limits<float>::quiet_NaN();
  Conv2dOp op = RandomConv(12, 20, Square(3, 1, 1));
  op.relu = true;
  const std::vector<float> y = RunStep(op, kernels(), 1, x, nullptr, {1, 6, 8, 20});
  for (int h = 0; h < 6; ++h) {
    for (int w = 0; w < 8; ++w) {
      const bool fed = std::abs(h - 3) <= 1 && std::abs(w - 4) <= 1;
      for (int c = 0; c < 20; ++c) EXPECT_EQ(std::isnan(y[(h * 8 + w) * 20 + c]), fed) << h << ", " << w;
    }
  }
}

struct LinearCase {
  int64_t n;
  int in_features, out_features;
};

TEST_P(ConvStepTest, LinearMatchesReference) {
  for (const LinearCase& linear : {LinearCase{1, 1, 1}, {1, 37, 10}, {4, 64, 1000}, {17, 520, 33}}) {
    SCOPED_TRACE(linear.in_features);
    Activation x = RandomActivation(linear.n, 1, 1, linear.in_features);
    x.shape.rank = 2;
    const TensorShape y{linear.n, 1, 1, linear.out_features, 2};
    const Conv2dOp conv = RandomConv(linear.in_features, linear.out_features, Square(1));
    const LinearOp op{linear.in_features, linear.out_features, {conv.filters.values, {}}, conv.bias, {}};
    Conv2dOp unscaled = conv;
    unscaled.filters.channel_scale.clear();
    std::vector<float> expected(y.elements());
    reference::Linear(op, {x.data.data(), x.shape}, expected.data());
    ExpectWithin(expected, RunStep(op, kernels(), 2, x, nullptr, y), ConvTolerance(unscaled, x, nullptr, y));
  }
}

}  // namespace
}  // namespace resnet_native::cpu
