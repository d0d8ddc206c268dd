#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "native/backends/reference/kernels.h"
#include "test/native/support/cpu_steps.h"
#include "test/native/support/run.h"

// Everything that is no convolution, on every instruction set against the reference.

namespace resnet_native::cpu {
namespace {

using namespace testing;
using resnet_native::testing::OwnedInput;
using resnet_native::testing::RandomInput;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
const double kRoundoff = std::ldexp(1.0, -24);

Activation RandomOf(const TensorShape& shape, uint32_t seed = 1) {
  return RandomActivation(shape.n, shape.h, shape.w, shape.c, seed);
}

class OtherStepsTest : public EachIsa {};
RESNET_NATIVE_EACH_ISA(OtherStepsTest);

TEST_P(OtherStepsTest, MaxPool) {
  const Window windows[] = {Square(3, 2, 1), Square(2, 2),       Square(3, 1, 1),
                            Square(1),       Square(2, 1, 1, 5), {3, 2, 1, 3, 0, 1, 2, 1}};
  for (const Window& window : windows) {
    for (const TensorShape& shape : {TensorShape{1, 5, 5, 1}, {2, 11, 9, 37}, {1, 14, 14, 64}}) {
      if (window.OutH(shape.h) < 1 || window.OutW(shape.w) < 1) continue;
      Activation x = RandomOf(shape);
      x.data[shape.elements() / 2] = kNaN;
      x.data[shape.elements() / 3] = -kInfinity;
      const TensorShape y{shape.n, window.OutH(shape.h), window.OutW(shape.w), shape.c};
      std::vector<float> expected(y.elements());
      reference::MaxPool2d({window}, ViewOf(x), y, expected.data());
      ExpectSameBits(expected, RunStep(MaxPool2dOp{window}, kernels(), 2, x, nullptr, y));
    }
  }
}

TEST_P(OtherStepsTest, MaxPoolKeepsNaNWhereverInTheWindowItIs) {
  for (int at = 0; at < 9; ++at) {
    Activation x = RandomActivation(1, 3, 3, 19);
    x.data[at * 19 + 18] = x.data[at * 19 + 3] = kNaN;
    const std::vector<float> y = RunStep(MaxPool2dOp{Square(3)}, kernels(), 1, x, nullptr, {1, 1, 1, 19});
    for (int c = 0; c < 19; ++c) EXPECT_EQ(std::isnan(y[c]), c == 3 || c == 18) << at << ", " << c;
  }
}

// A mean of n values is off by at most (h + w + 1) u of their mean magnitude: sums of rows, the sum of those,
// and the multiplication by a rounded 1 / n. Values here are below 1. The reference adds half a unit of its
// own.
TEST_P(OtherStepsTest, GlobalAvgPool) {
  for (const TensorShape& shape : kShapes) {
    const Activation x = RandomOf(shape);
    const TensorShape y{shape.n, 1, 1, shape.c};
    std::vector<float> expected(y.elements());
    reference::GlobalAvgPool(ViewOf(x), expected.data());
    const std::vector<float> actual = RunStep(GlobalAvgPoolOp{}, kernels(), 3, x, nullptr, y);
    const auto terms = static_cast<double>(shape.h + shape.w + 3);
    ExpectWithin(expected, actual, std::vector<double>(y.elements(), terms * kRoundoff));
    ExpectSameBits(actual, RunStep(GlobalAvgPoolOp{}, kernels(), 1, x, nullptr, y));
  }
}

TEST_P(OtherStepsTest, ReluKeepsNaN) {
  for (const TensorShape& shape : kShapes) {
    Activation x = RandomOf(shape);
    x.data.back() = kNaN;
    x.data.front() = shape.elements() > 1 ? -kInfinity : kNaN;
    std::vector<float> expected(shape.elements());
    reference::Relu(ViewOf(x), expected.data());
    const std::vector<float> actual = RunStep(ReluOp{}, kernels(), 2, x, nullptr, shape);
    ExpectSameBits(expected, actual);
    EXPECT_TRUE(std::isnan(actual.back()));
  }
}

TEST_P(OtherStepsTest, Add) {
  for (const TensorShape& shape : kShapes) {
    const Activation a = RandomOf(shape), b = RandomOf(shape, 2);
    for (bool relu : {false, true}) {
      std::vector<float> expected(shape.elements());
      reference::Add({relu}, ViewOf(a), ViewOf(b), expected.data());
      ExpectSameBits(expected, RunStep(AddOp{relu}, kernels(), 2, a, &b, shape));
    }
  }
}

// y = x * scale + shift with both rounded to float32: three roundings, each relative to |x * scale| + |shift|
// with shift = bias - mean * scale. All parameters are below 1 in magnitude and var + eps is at least 0.5, so
// that |scale| < 1.5 and the magnitudes stay below 4.
TEST_P(OtherStepsTest, BatchNorm) {
  for (const TensorShape& shape : kShapes) {
    const Activation x = RandomOf(shape);
    std::vector<float> variance = Random(shape.c, 14);
    for (float& value : variance) value = 0.5f + std::abs(value);
    BatchNormOp op{Weight::Own(Random(shape.c, 11)), Weight::Own(Random(shape.c, 12)),
                   Weight::Own(Random(shape.c, 13)), Weight::Own(variance), 1e-5};
    std::vector<float> expected(shape.elements());
    reference::BatchNorm(op, ViewOf(x), expected.data());
    ExpectWithin(expected, RunStep(op, kernels(), 2, x, nullptr, shape),
                 std::vector<double>(shape.elements(), 4 * 4 * kRoundoff));
  }
}

TEST_P(OtherStepsTest, ZeroPadShortcut) {
  for (int stride : {1, 2, 3}) {
    for (const TensorShape& shape : kShapes) {
      const Activation x = RandomOf(shape);
      const ZeroPadShortcutOp op{stride, static_cast<int>(shape.c) + 5};
      const TensorShape y{shape.n, (shape.h - 1) / stride + 1, (shape.w - 1) / stride + 1, shape.c + 5};
      std::vector<float> expected(y.elements());
      reference::ZeroPadShortcut(op, ViewOf(x), y, expected.data());
      ExpectSameBits(expected, RunStep(op, kernels(), 2, x, nullptr, y));
    }
  }
}

TEST_P(OtherStepsTest, Flatten) {
  for (const TensorShape& shape : kShapes) {
    const Activation x = RandomOf(shape);
    const TensorShape y{shape.n, 1, 1, shape.h * shape.w * shape.c, 2};
    std::vector<float> expected(y.elements());
    reference::Flatten(ViewOf(x), expected.data());
    ExpectSameBits(expected, RunStep(FlattenOp{}, kernels(), 2, x, nullptr, y));
  }
}

TEST_P(OtherStepsTest, InputBecomesAnActivation) {
  for (const TensorShape& shape : kShapes) {
    std::vector<float> expected(shape.elements());
    const ChannelAffine affine{Random(shape.c, 3), Random(shape.c, 4)};
    for (const OwnedInput& input : {RandomInput(shape, true), RandomInput(shape)}) {
      const InputBatch batch = input.Batch(input.bytes.empty() ? Layout::kNchw : Layout::kNhwc);
      reference::LoadInput(batch, nullptr, expected.data());
      ExpectSameBits(expected,
                     RunInputStep(InputOp{static_cast<int>(shape.c)}, kernels(), 2, batch, nullptr, shape));
      // Up to two roundings instead of one, of at most 255 + 1.
      reference::LoadInput(batch, &affine, expected.data());
      ExpectWithin(expected, RunInputStep(NormalizeOp{affine}, kernels(), 2, batch, nullptr, shape),
                   std::vector<double>(shape.elements(), 3 * 256 * kRoundoff));
    }
  }
}

}  // namespace
}  // namespace resnet_native::cpu
