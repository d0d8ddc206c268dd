#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "native/backends/cpu/steps/winograd_step.h"
#include "native/backends/reference/kernels.h"
#include "native/bfloat16.h"
#include "test/native/support/conv_cases.h"
#include "test/native/support/cpu_steps.h"
#include "test/native/support/run.h"

// Steps that read and write bfloat16, on every row against the reference in float32 over the same rounded
// values: products of bfloat16 are exact in float32, sums are float32's, and one rounding ends it.

namespace resnet_native::cpu {
namespace {

using namespace testing;
using resnet_native::testing::OwnedInput;
using resnet_native::testing::RandomInput;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

Activation RandomRounded(const TensorShape& shape, uint32_t seed = 1) {
  return {shape, ToBfloat16(Random(shape.elements(), seed))};
}

// ConvTolerance where instructions add up the products of two channels before they add them to the sum. Those
// of Arm round to odd, by less than 2u, once for each. Taking P pairs, 2 (P + 1) u are as much as float32's
// K + 2 roundings; but the odd channel of a tap is a pair of its own.
std::vector<double> PairTolerance(const Conv2dOp& op, const Activation& x, const Activation* residual,
                                  const TensorShape& y) {
  const double taps = static_cast<double>(op.window.kernel_h) * op.window.kernel_w;
  const int channels = op.in_channels / op.groups;
  std::vector<double> tolerance = ConvTolerance(op, x, residual, y);
  for (double& value : tolerance) value *= (taps * (channels + channels % 2) + 4) / (taps * channels + 4);
  return tolerance;
}

class Bfloat16StepTest : public EachBfloat16Row {};
RESNET_NATIVE_EACH_BFLOAT16_ROW(Bfloat16StepTest);

TEST_P(Bfloat16StepTest, ConvolutionsMatchReference) {
  for (const ConvCase& conv : kConvs) {
    SCOPED_TRACE(conv.what);
    const Activation x = RandomRounded(conv.x);
    const TensorShape y = conv.Output();
    const Activation residual = RandomRounded(y, 5);
    Conv2dOp op = RandomConv(static_cast<int>(conv.x.c), conv.out_channels, conv.window, conv.groups);
    std::vector<float> expected(y.elements());
    for (bool with_residual : {false, true}) {
      op.has_residual = with_residual;
      op.relu = with_residual;
      const Activation* added = with_residual ? &residual : nullptr;
      const std::vector<float> actual = RunStep(op, kernels(), 1, x, added, y, kBfloat16Types);
      ExpectSameBits(actual, RunStep(op, kernels(), 3, x, added, y, kBfloat16Types));
      // Grouped kernels may keep their filters in float32: then their own rounding is missing on one side.
      const Conv2dOp rounded = WithBfloat16Filters(op);
      reference::Conv2d(rounded, ViewOf(x), added ? added->data.data() : nullptr, y, expected.data());
      std::vector<double> tolerance = PairTolerance(rounded, x, added, y);
      if (conv.groups > 1) {
        const double k =
            static_cast<double>(conv.window.kernel_h) * conv.window.kernel_w * (op.in_channels / conv.groups);
        for (double& value : tolerance) value *= std::ldexp(1.0, 24 - 8) / (k + 4) + 1;
      }
      ExpectWithin(expected, actual, AndRounding(tolerance, expected));
    }
  }
}

TEST_P(Bfloat16StepTest, WinogradMatchesReference) {
  ThreadPool pool(2);
  for (const ConvCase& conv : kConvs) {
    const bool fits = conv.groups == 1 && conv.window == Square(3, 1, conv.window.pad_h);
    if (!fits || conv.x.c > 100) continue;
    SCOPED_TRACE(conv.what);
    const Activation x = RandomRounded(conv.x);
    const TensorShape y = conv.Output();
    const Activation residual = RandomRounded(y, 5);
    Conv2dOp op = RandomConv(static_cast<int>(conv.x.c), conv.out_channels, conv.window);
    op.has_residual = true;
    // The same transforms on float32 activations, which have tests of their own: one rounding is between.
    for (WinogradTile tile : {WinogradTile::kF2, WinogradTile::kF4}) {
      const StepOptions options{kernels(), pool};
      const std::vector<float> expected =
          RunStep(WinogradStep(op, tile, DType::kFloat32, options), pool, x, &residual, y);
      const std::vector<float> actual =
          RunStep(WinogradStep(op, tile, DType::kBfloat16, options), pool, x, &residual, y, kBfloat16Types);
      ExpectWithin(expected, actual, AndRounding(std::vector<double>(expected.size(), 1e-37), expected));
    }
  }
}

TEST_P(Bfloat16StepTest, LinearWritesFloat32) {
  for (const auto& [n, in, out] : {std::tuple{1, 1, 1}, {1, 37, 10}, {4, 64, 1000}, {17, 520, 33}}) {
    SCOPED_TRACE(in);
    const Activation x = RandomRounded({n, 1, 1, in});
    const TensorShape y{n, 1, 1, out, 2};
    Conv2dOp conv = RandomConv(in, out, Square(1));
    conv.filters.channel_scale.clear();
    const LinearOp op{in, out, conv.filters, conv.bias};
    const Conv2dOp rounded = WithBfloat16Filters(conv);
    std::vector<float> expected(y.elements());
    reference::Conv2d(rounded, ViewOf(x), nullptr, y, expected.data());
    const StepTypes types{DType::kBfloat16, DType::kFloat32};
    ExpectWithin(expected, RunStep(op, kernels(), 2, x, nullptr, y, types),
                 PairTolerance(rounded, x, nullptr, y));
  }
}

TEST_P(Bfloat16StepTest, StemReadsBytesAndFloats) {
  for (const TensorShape& shape : {TensorShape{2, 37, 41, 3}, {1, 9, 8, 4}, {1, 224, 20, 3}}) {
    for (const Window& window : {Square(7, 2, 3), Square(3, 1, 1)}) {
      Conv2dOp op = RandomConv(static_cast<int>(shape.c), 24, window);
      op.relu = true;
      op.input_normalize = ChannelAffine{Random(shape.c, 8), Random(shape.c, 9)};
      const TensorShape y{shape.n, window.OutH(shape.h), window.OutW(shape.w), 24};
      for (bool bytes : {true, false}) {
        const OwnedInput input = RandomInput(shape, bytes);
        Activation x{shape, std::vector<float>(shape.elements())};
        reference::LoadInput(input.Batch(), &*op.input_normalize, x.data.data());
        x.data = ToBfloat16(std::move(x.data));
        const Conv2dOp rounded = WithBfloat16Filters(op);
        std::vector<float> expected(y.elements());
        reference::Conv2d(rounded, ViewOf(x), nullptr, y, expected.data());
        std::vector<double> tolerance = PairTolerance(rounded, x, nullptr, y);
        // Normalised bytes may be rounded twice before they become bfloat16, and then fall to the other side
        // of a tie: by 2^-7 of each.
        const double k = static_cast<double>(window.kernel_h) * window.kernel_w * op.in_channels;
        if (bytes) {
          for (double& value : tolerance) value *= std::ldexp(1.0, 24 - 7) / (k + 4) + 1;
        }
        const std::vector<float> actual =
            RunInputStep(op, kernels(), 1, input.Batch(), nullptr, y, kBfloat16Types);
        ExpectWithin(expected, actual, AndRounding(tolerance, expected));
        ExpectSameBits(actual, RunInputStep(op, kernels(), 3, input.Batch(), nullptr, y, kBfloat16Types));
      }
    }
  }
}

TEST_P(Bfloat16StepTest, MaxPool) {
  for (const Window& window : {Square(3, 2, 1), Square(2, 2), Square(2, 1, 1, 5)}) {
    Activation x = RandomRounded({2, 11, 9, 37});
    x.data[x.data.size() / 2] = kNaN;
    x.data[x.data.size() / 3] = -kInfinity;
    const TensorShape y{2, window.OutH(11), window.OutW(9), 37};
    std::vector<float> expected(y.elements());
    reference::MaxPool2d({window}, ViewOf(x), y, expected.data());
    ExpectSameBits(expected, RunStep(MaxPool2dOp{window}, kernels(), 2, x, nullptr, y, kBfloat16Types));
  }
}

TEST_P(Bfloat16StepTest, GlobalAvgPool) {
  for (const TensorShape& shape : kShapes) {
    const Activation x = RandomRounded(shape);
    const TensorShape y{shape.n, 1, 1, shape.c};
    std::vector<float> expected(y.elements());
    reference::GlobalAvgPool(ViewOf(x), expected.data());
    const double sum = static_cast<double>(shape.h + shape.w + 3) * std::ldexp(1.0, -24);
    ExpectWithin(expected, RunStep(GlobalAvgPoolOp{}, kernels(), 3, x, nullptr, y, kBfloat16Types),
                 AndRounding(std::vector<double>(y.elements(), sum), expected));
  }
}

TEST_P(Bfloat16StepTest, ReluAddAndCopiesRoundOnce) {
  for (const TensorShape& shape : kShapes) {
    Activation a = RandomRounded(shape);
    a.data.back() = kNaN;
    const Activation b = RandomRounded(shape, 2);
    std::vector<float> expected(shape.elements());
    reference::Relu(ViewOf(a), expected.data());
    ExpectSameBits(expected, RunStep(ReluOp{}, kernels(), 2, a, nullptr, shape, kBfloat16Types));
    reference::Add({true}, ViewOf(a), ViewOf(b), expected.data());
    ExpectSameBits(ToBfloat16(expected), RunStep(AddOp{true}, kernels(), 2, a, &b, shape, kBfloat16Types));

    const ZeroPadShortcutOp pad{2, static_cast<int>(shape.c) + 5};
    const TensorShape padded{shape.n, (shape.h + 1) / 2, (shape.w + 1) / 2, shape.c + 5};
    expected.resize(padded.elements());
    reference::ZeroPadShortcut(pad, ViewOf(a), padded, expected.data());
    ExpectSameBits(expected, RunStep(pad, kernels(), 2, a, nullptr, padded, kBfloat16Types));

    const TensorShape flat{shape.n, 1, 1, shape.h * shape.w * shape.c, 2};
    expected.resize(flat.elements());
    reference::Flatten(ViewOf(a), expected.data());
    ExpectSameBits(expected, RunStep(FlattenOp{}, kernels(), 2, a, nullptr, flat, kBfloat16Types));
  }
}

// Three roundings to float32 of magnitudes below 4 (as in float32's test), then the one to bfloat16.
TEST_P(Bfloat16StepTest, BatchNorm) {
  for (const TensorShape& shape : kShapes) {
    const Activation x = RandomRounded(shape);
    std::vector<float> variance = Random(shape.c, 14);
    for (float& value : variance) value = 0.5f + std::abs(value);
    const BatchNormOp op{Weight::Own(Random(shape.c, 11)), Weight::Own(Random(shape.c, 12)),
                         Weight::Own(Random(shape.c, 13)), Weight::Own(variance), 1e-5};
    std::vector<float> expected(shape.elements());
    reference::BatchNorm(op, ViewOf(x), expected.data());
    const std::vector<double> tolerance(shape.elements(), 16 * std::ldexp(1.0, -24));
    ExpectWithin(expected, RunStep(op, kernels(), 2, x, nullptr, shape, kBfloat16Types),
                 AndRounding(tolerance, expected));
  }
}

TEST_P(Bfloat16StepTest, TheInputIsRoundedToNearestEven) {
  const ElementwiseKernels& elementwise = *kernels()[DType::kBfloat16].elementwise;
  const std::vector<float> special = {0.0f,      -0.0f,      1.0f,    1.00390625f, 1.01171875f, kNaN,
                                      kInfinity, -kInfinity, 3.4e38f, -3.39e38f,   1.0039064f,  -1.00390625f};
  for (size_t count = 1; count <= 40; ++count) {
    std::vector<float> values = Random(count, static_cast<uint32_t>(count));
    for (size_t i = 0; i < count; i += 3) values[i] = special[(i / 3 + count) % special.size()];
    std::vector<uint16_t> halves(count + 1, 0x1234);
    elementwise.narrow(values.data(), static_cast<int64_t>(count), halves.data());
    EXPECT_EQ(halves[count], 0x1234) << "written behind the end";
    std::vector<float> widened(count);
    elementwise.widen(halves.data(), static_cast<int64_t>(count), widened.data());
    ExpectSameBits(ToBfloat16(values), widened);
  }
}

}  // namespace
}  // namespace resnet_native::cpu
