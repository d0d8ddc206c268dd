#include <gtest/gtest.h>

#include "native/backends/reference/kernels.h"
#include "test/native/support/cpu_steps.h"
#include "test/native/support/run.h"

// Convolutions that read the run's input, in every form that it comes in.

namespace resnet_native::cpu {
namespace {

using namespace testing;
using resnet_native::testing::OwnedInput;
using resnet_native::testing::RandomInput;

struct StemCase {
  const char* what;
  TensorShape x;
  int out_channels;
  Window window;
  int groups = 1;
};

const StemCase kStems[] = {
    {"ImageNet's", {2, 37, 41, 3}, 64, Square(7, 2, 3)},
    {"CIFAR's", {1, 32, 32, 3}, 16, Square(3, 1, 1)},
    {"one channel", {1, 8, 8, 1}, 16, Square(3, 1, 1)},
    {"one pixel", {1, 1, 1, 3}, 8, Square(3, 1, 1)},
    {"1x1", {1, 5, 9, 4}, 20, Square(1)},
    {"wide and low", {1, 3, 200, 3}, 24, Square(7, 2, 3)},
    {"dilated", {1, 17, 15, 3}, 10, Square(3, 2, 2, 2)},
    {"dilated downwards only", {1, 17, 15, 3}, 10, {3, 3, 1, 1, 2, 1, 2, 1}},
    {"grouped", {1, 9, 9, 6}, 12, Square(3, 1, 1), 3},
    {"depthwise", {1, 9, 9, 3}, 3, Square(3, 1, 1), 3},
    {"more padding than kernel", {1, 3, 4, 3}, 8, Square(3, 2, 4)},
    {"many channels", {1, 6, 6, 70}, 18, Square(3, 1, 1)},
};

class StemStepTest : public EachIsa {
 protected:
  void Check(const StemCase& stem, const OwnedInput& input, Layout layout, bool normalize) {
    const int channels = static_cast<int>(stem.x.c);
    Conv2dOp op = RandomConv(channels, stem.out_channels, stem.window, stem.groups);
    op.relu = true;
    if (normalize) op.input_normalize = ChannelAffine{Random(channels, 8), Random(channels, 9)};
    const InputBatch batch = input.Batch(layout);
    Activation x{stem.x, std::vector<float>(stem.x.elements())};
    reference::LoadInput(batch, normalize ? &*op.input_normalize : nullptr, x.data.data());
    const TensorShape y{stem.x.n, stem.window.OutH(stem.x.h), stem.window.OutW(stem.x.w), stem.out_channels};
    std::vector<float> expected(y.elements());
    reference::Conv2d(op, {x.data.data(), x.shape}, nullptr, y, expected.data());
    const std::vector<float> actual = RunInputStep(op, kernels(), 1, batch, nullptr, y);
    ExpectWithin(expected, actual, Tolerance(op, x, y, batch));
    ExpectSameBits(actual, RunInputStep(op, kernels(), 3, batch, nullptr, y));
  }

 private:
  // Normalised bytes carry up to two roundings of x * scale and + shift where the reference makes one; both
  // are relative to |x * scale| + |shift|, so the bound of the convolution is taken for those magnitudes and
  // two more u.
  std::vector<double> Tolerance(const Conv2dOp& op, Activation x, const TensorShape& y,
                                const InputBatch& input) {
    if (input.dtype == DType::kUint8 && op.input_normalize) {
      ChannelAffine magnitudes = *op.input_normalize;
      for (float& scale : magnitudes.scale) scale = std::abs(scale);
      for (float& shift : magnitudes.shift) shift = std::abs(shift);
      reference::LoadInput(input, &magnitudes, x.data.data());
    }
    std::vector<double> tolerance = ConvTolerance(op, x, nullptr, y);
    const double k =
        static_cast<double>(op.window.kernel_h) * op.window.kernel_w * (op.in_channels / op.groups);
    for (double& value : tolerance) value *= (k + 6) / (k + 4);
    return tolerance;
  }
};
RESNET_NATIVE_EACH_ISA(StemStepTest);

TEST_P(StemStepTest, ReadsBytes) {
  for (const StemCase& stem : kStems) {
    SCOPED_TRACE(stem.what);
    const OwnedInput input = RandomInput(stem.x, true);
    Check(stem, input, Layout::kNhwc, true);
    Check(stem, input, Layout::kNhwc, false);
  }
}

TEST_P(StemStepTest, ReadsFloatsInBothLayouts) {
  for (const StemCase& stem : kStems) {
    SCOPED_TRACE(stem.what);
    const OwnedInput input = RandomInput(stem.x);
    Check(stem, input, Layout::kNhwc, true);  // float32 is not normalised
    Check(stem, input, Layout::kNchw, false);
  }
}

TEST_P(StemStepTest, AddsAResidual) {
  const OwnedInput input = RandomInput({2, 9, 11, 3});
  const Activation residual = RandomActivation(2, 9, 11, 20, 6);
  const Activation x{{2, 9, 11, 3}, input.floats};
  Conv2dOp op = RandomConv(3, 20, Square(3, 1, 1));
  op.has_residual = true;
  const TensorShape y{2, 9, 11, 20};
  std::vector<float> expected(y.elements());
  reference::Conv2d(op, {x.data.data(), x.shape}, residual.data.data(), y, expected.data());
  ExpectWithin(expected, RunInputStep(op, kernels(), 2, input.Batch(), &residual, y),
               ConvTolerance(op, x, &residual, y));
}

}  // namespace
}  // namespace resnet_native::cpu
