#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "native/backends/reference/kernels.h"
#include "test/native/support/conv_cases.h"
#include "test/native/support/cpu_steps.h"

// Every convolution step on every instruction set against the reference, over shapes that no tile was made
// for.

namespace resnet_native::cpu {
namespace {

using namespace testing;

class ConvStepTest : public EachIsa {};
RESNET_NATIVE_EACH_ISA(ConvStepTest);

TEST_P(ConvStepTest, MatchesReference) {
  for (const ConvCase& conv : kConvs) {
    SCOPED_TRACE(conv.what);
    const Activation x = RandomActivation(conv.x.n, conv.x.h, conv.x.w, conv.x.c);
    const TensorShape y = conv.Output();
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
