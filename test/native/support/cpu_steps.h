#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "native/backends/cpu/dispatch.h"
#include "native/backends/cpu/steps/step.h"
#include "native/backends/reference/kernels.h"
#include "native/graph/graph.h"
#include "test/native/support/square.h"

namespace resnet_native::cpu::testing {

// The kernels of one instruction set. "emulated" has 16 lanes and tiles of 14 pixels in the compiler's own
// vectors: it drives what is made for AVX-512 on machines without it.
struct IsaCase {
  std::string name;
  KernelTable kernels;
  bool available = false;

  friend void PrintTo(const IsaCase& isa, std::ostream* os) { *os << isa.name; }
};
std::vector<IsaCase> AllIsas();
// Every row for bfloat16, with and without the instructions for it.
std::vector<IsaCase> AllBfloat16Rows();

// A suite that runs once for each instruction set, and is skipped where the CPU lacks it.
class EachIsa : public ::testing::TestWithParam<IsaCase> {
 protected:
  void SetUp() override {
    if (!GetParam().available) GTEST_SKIP() << "this CPU or build lacks " << GetParam().name;
  }
  const KernelTable& kernels() const { return GetParam().kernels; }
};

#define RESNET_NATIVE_EACH_ISA(Suite)                                                              \
  INSTANTIATE_TEST_SUITE_P(, Suite, ::testing::ValuesIn(::resnet_native::cpu::testing::AllIsas()), \
                           [](const auto& info) { return info.param.name; })

// The same over the rows for bfloat16.
class EachBfloat16Row : public EachIsa {};
#define RESNET_NATIVE_EACH_BFLOAT16_ROW(Suite)                                                             \
  INSTANTIATE_TEST_SUITE_P(, Suite, ::testing::ValuesIn(::resnet_native::cpu::testing::AllBfloat16Rows()), \
                           [](const auto& info) { return info.param.name; })

// Values are kept in float whatever the steps' data type is: bfloat16 ones are rounded on their way in.
struct Activation {
  TensorShape shape;
  std::vector<float> data;
};

inline reference::View ViewOf(const Activation& x) { return {x.data.data(), x.shape}; }

// From one element up, of channels that fill no, one or several vectors and leave some over.
inline const TensorShape kShapes[] = {
    {1, 1, 1, 1}, {1, 3, 5, 7}, {2, 4, 4, 16}, {3, 7, 5, 37}, {1, 30, 31, 70}};

// Uniform in [-1, 1).
std::vector<float> Random(size_t size, uint32_t seed);
Activation RandomActivation(int64_t n, int64_t h, int64_t w, int64_t c, uint32_t seed = 1);

// Random filters, bias and nothing else.
Conv2dOp RandomConv(int in_channels, int out_channels, Window window, int groups = 1, uint32_t seed = 2);

using resnet_native::testing::Square;

// The types of a step that reads and writes bfloat16.
inline constexpr StepTypes kBfloat16Types{DType::kBfloat16, DType::kBfloat16};

// Rounds each value to bfloat16.
std::vector<float> ToBfloat16(std::vector<float> values);

// Runs one step alone. `residual` may be null. What lies behind the result is checked to be untouched.
std::vector<float> RunStep(const Op& op, const KernelTable& kernels, int threads, const Activation& x,
                           const Activation* residual, const TensorShape& y, const StepTypes& types = {});
// The same for a step that is there already.
std::vector<float> RunStep(const Step& step, ThreadPool& pool, const Activation& x,
                           const Activation* residual, const TensorShape& y, const StepTypes& types = {});
// A step that reads the run's input.
std::vector<float> RunInputStep(const Op& op, const KernelTable& kernels, int threads,
                                const InputBatch& input, const Activation* residual, const TensorShape& y,
                                const StepTypes& types = {});

// The largest error that float32 arithmetic may make in each output of a convolution, with any order of sums.
//
// A sum of K products plus bias and residual is rounded K + 2 times if the multiply-add is fused and twice as
// often if it is not, but a product's own rounding is relative to it alone: with unit roundoff u = 2^-24 the
// standard bound is (K + 3) u Σ |x_i| |w_i| to first order (Higham, Accuracy and Stability, 3.1), the sum
// taking bias and residual in. The filters are rounded identically on both sides, and the reference adds one
// rounding of the result: (K + 4) u in all. The row sums Σ |x| |w| come from the reference itself, run on
// magnitudes.
std::vector<double> ConvTolerance(const Conv2dOp& op, const Activation& x, const Activation* residual,
                                  const TensorShape& y);

// A convolution whose filters, scaled, are rounded to bfloat16: what a step packs, for the reference.
Conv2dOp WithBfloat16Filters(Conv2dOp op);

// `tolerance` of a result that is then rounded to bfloat16, to 8 bits: by at most 2^-8 of what was computed.
std::vector<double> AndRounding(std::vector<double> tolerance, const std::vector<float>& expected);

// |expected - actual| ≤ tolerance, element by element; NaN nowhere.
void ExpectWithin(const std::vector<float>& expected, const std::vector<float>& actual,
                  const std::vector<double>& tolerance);

// Bit by bit: NaN equals NaN.
void ExpectSameBits(const std::vector<float>& expected, const std::vector<float>& actual);

}  // namespace resnet_native::cpu::testing
