#include <gtest/gtest.h>

#include <limits>

#include "native/backends/reference/kernels.h"
#include "test/native/support/cpu_steps.h"
#include "test/native/support/run.h"

// A convolution with the max pool behind it gives the bits of the two steps alone, which have tests of their
// own, whatever rows a thread keeps or computes again.

namespace resnet_native::cpu {
namespace {

using namespace testing;
using resnet_native::testing::OwnedInput;
using resnet_native::testing::RandomInput;

struct PooledCase {
  const char* what;
  TensorShape x;
  int out_channels;
  Window conv, pool;
};

const PooledCase kCases[] = {
    {"ImageNet's", {2, 75, 61, 3}, 64, Square(7, 2, 3), Square(3, 2, 1)},
    {"even sizes", {1, 64, 48, 3}, 16, Square(7, 2, 3), Square(3, 2, 1)},
    {"fewer images than threads, one row each", {1, 3, 4, 3}, 8, Square(3, 1, 1), Square(3, 2, 1)},
    {"one pixel", {1, 1, 1, 3}, 5, Square(3, 1, 1), Square(3, 2, 1)},
    {"rows wider than the caches' share", {1, 12, 1500, 3}, 70, Square(3, 1, 1), Square(3, 2, 1)},
    {"nothing overlaps", {3, 33, 17, 3}, 37, Square(3, 1, 1), Square(2, 2)},
    {"rows that no window reads", {2, 41, 19, 4}, 20, Square(1), Square(2, 3)},
    {"all but one row overlaps", {2, 40, 11, 3}, 33, Square(3, 2, 1), Square(5, 1, 2)},
    {"a window of all rows", {2, 10, 10, 3}, 8, Square(3, 1, 1), Square(10)},
    {"dilated", {2, 37, 23, 3}, 24, Square(3, 1, 1), Square(3, 2, 1, 2)},
    {"windows in the padding alone", {1, 4, 3, 3}, 8, Square(3, 1, 1), Square(2, 3, 1, 7)},
    {"rectangular", {2, 40, 31, 3}, 12, {5, 3, 2, 1, 2, 1, 1, 1}, {3, 2, 1, 3, 1, 1, 1, 2}},
};

void ExpectBitsOfTwoSteps(const PooledCase& pooled, const KernelTable& kernels, const OwnedInput& input,
                          const StepTypes& types) {
  Conv2dOp op = RandomConv(static_cast<int>(pooled.x.c), pooled.out_channels, pooled.conv);
  op.relu = true;
  const TensorShape convolved = op.ConvolvedShape(pooled.x);
  const TensorShape y{convolved.n, pooled.pool.OutH(convolved.h), pooled.pool.OutW(convolved.w), convolved.c};
  const Activation between{convolved, RunInputStep(op, kernels, 1, input.Batch(), nullptr, convolved, types)};
  const std::vector<float> expected =
      RunStep(MaxPool2dOp{pooled.pool}, kernels, 1, between, nullptr, y, types);
  std::vector<float> largest(y.elements());
  reference::MaxPool2d({pooled.pool}, ViewOf(between), y, largest.data());
  ExpectSameBits(largest, expected);
  op.max_pool = pooled.pool;
  for (int threads : {1, 2, 5}) {
    ExpectSameBits(expected, RunInputStep(op, kernels, threads, input.Batch(), nullptr, y, types));
  }
}

class PooledConvStepTest : public EachIsa {};
RESNET_NATIVE_EACH_ISA(PooledConvStepTest);

class Bfloat16PooledConvStepTest : public EachBfloat16Row {};
RESNET_NATIVE_EACH_BFLOAT16_ROW(Bfloat16PooledConvStepTest);

TEST_P(PooledConvStepTest, GivesTheBitsOfTwoSteps) {
  for (const PooledCase& pooled : kCases) {
    SCOPED_TRACE(pooled.what);
    ExpectBitsOfTwoSteps(pooled, kernels(), RandomInput(pooled.x), {});
    ExpectBitsOfTwoSteps(pooled, kernels(), RandomInput(pooled.x, true), {});
  }
}

TEST_P(PooledConvStepTest, KeepsNaNAndInfinity) {
  const PooledCase& pooled = kCases[0];
  OwnedInput input = RandomInput(pooled.x);
  input.floats[3 * 61 * 20] = std::numeric_limits<float>::quiet_NaN();
  input.floats[3 * 61 * 41 + 5] = std::numeric_limits<float>::infinity();
  ExpectBitsOfTwoSteps(pooled, kernels(), input, {});
}

TEST_P(Bfloat16PooledConvStepTest, GivesTheBitsOfTwoSteps) {
  for (const PooledCase& pooled : kCases) {
    SCOPED_TRACE(pooled.what);
    ExpectBitsOfTwoSteps(pooled, kernels(), RandomInput(pooled.x), kBfloat16Types);
  }
}

}  // namespace
}  // namespace resnet_native::cpu
