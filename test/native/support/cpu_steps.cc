#include "test/native/support/cpu_steps.h"

#include <cmath>
#include <cstring>
#include <random>

#include "native/backends/cpu/aligned_buffer.h"
#include "native/backends/cpu/kernels/kernels_of_row-inl.h"
#include "native/backends/cpu/kernels/simd_generic.h"
#include "native/backends/reference/kernels.h"

namespace resnet_native::cpu::testing {
namespace {

constexpr KernelsOfRow kEmulated = MakeKernels<Float32Dot<SimdGeneric<16>>, 24, 4, 16>();

// Floats behind a result that no step may write.
constexpr size_t kGuard = 64;
constexpr float kGuardValue = 12345.0f;

std::vector<float> Magnitudes(std::vector<float> values) {
  for (float& value : values) value = std::abs(value);
  return values;
}

Weight Magnitudes(const Weight& weight) {
  return Weight::Own(Magnitudes(std::vector<float>(weight.data, weight.data + weight.size)));
}

TensorView ViewOf(const float* data, const TensorShape& shape) {
  return {reinterpret_cast<char*>(const_cast<float*>(data)), shape, DType::kFloat32};
}

std::vector<float> Run(const Step& step, ThreadPool& pool, const InputBatch& input, const Activation& x,
                       const Activation* residual, const TensorShape& y) {
  std::vector<float> result(y.elements() + kGuard, kGuardValue);
  const size_t scratch_bytes = (step.ScratchBytes(x.shape, y, pool.threads()) + 63) / 64 * 64;
  AlignedBuffer scratch(scratch_bytes * pool.threads());
  StepRun run{input, {}, {}, ViewOf(result.data(), y), pool, {scratch.data(), scratch_bytes}};
  run.x = ViewOf(x.data.data(), x.shape);
  if (residual) run.residual = ViewOf(residual->data.data(), residual->shape);
  step.Run(run);
  for (size_t i = y.elements(); i < result.size(); ++i)
    EXPECT_EQ(result[i], kGuardValue) << "written behind the end";
  result.resize(y.elements());
  return result;
}

}  // namespace

std::vector<IsaCase> AllIsas() {
  std::vector<IsaCase> cases;
  for (Isa isa : {Isa::kScalar, Isa::kNeon, Isa::kAvx2, Isa::kAvx512}) {
    cases.push_back({IsaName(isa), {}, HasIsa(isa)});
    if (HasIsa(isa)) cases.back().kernels = KernelTable(FeaturesFor(isa));
  }
  cases.push_back({"emulated", {}, true});
  cases.back().kernels[DType::kFloat32] = {&kEmulated.conv, &kEmulated.winograd, &kEmulated.pool,
                                           &kEmulated.elementwise};
  return cases;
}

std::vector<float> Random(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  std::vector<float> values(size);
  for (float& value : values) value = uniform(random);
  return values;
}

Activation RandomActivation(int64_t n, int64_t h, int64_t w, int64_t c, uint32_t seed) {
  return {{n, h, w, c}, Random(n * h * w * c, seed)};
}

Conv2dOp RandomConv(int in_channels, int out_channels, Window window, int groups, uint32_t seed) {
  Conv2dOp op;
  op.window = window;
  op.in_channels = in_channels;
  op.out_channels = out_channels;
  op.groups = groups;
  const size_t taps = static_cast<size_t>(window.kernel_h) * window.kernel_w;
  op.filters.values = Weight::Own(Random(taps * (in_channels / groups) * out_channels, seed));
  for (float scale : Random(out_channels, seed + 1)) op.filters.channel_scale.push_back(scale);
  op.bias = Weight::Own(Random(out_channels, seed + 2));
  return op;
}

Window Square(int kernel, int stride, int pad, int dilation) {
  return {kernel, kernel, stride, stride, pad, pad, dilation, dilation};
}

std::vector<float> RunStep(const Op& op, const KernelTable& kernels, int threads, const Activation& x,
                           const Activation* residual, const TensorShape& y) {
  ThreadPool pool(threads);
  // With little memory convolutions are direct; Winograd's have tests of their own.
  return RunStep(*MakeStep(op, false, {}, {kernels, pool, MemoryMode::kLow}), pool, x, residual, y);
}

std::vector<float> RunStep(const Step& step, ThreadPool& pool, const Activation& x,
                           const Activation* residual, const TensorShape& y) {
  return Run(step, pool, InputBatch{}, x, residual, y);
}

std::vector<float> RunInputStep(const Op& op, const KernelTable& kernels, int threads,
                                const InputBatch& input, const Activation* residual, const TensorShape& y) {
  ThreadPool pool(threads);
  const std::unique_ptr<Step> step = MakeStep(op, true, {}, {kernels, pool});
  return Run(*step, pool, input, {{input.n, input.h, input.w, input.c}, {}}, residual, y);
}

std::vector<double> ConvTolerance(const Conv2dOp& op, const Activation& x, const Activation* residual,
                                  const TensorShape& y) {
  Conv2dOp magnitudes = op;
  magnitudes.relu = false;
  magnitudes.filters.values = Magnitudes(op.filters.values);
  for (double& scale : magnitudes.filters.channel_scale) scale = std::abs(scale);
  magnitudes.bias = Magnitudes(op.bias);
  const std::vector<float> x_magnitudes = Magnitudes(x.data);
  const std::vector<float> residual_magnitudes = residual ? Magnitudes(residual->data) : std::vector<float>();
  std::vector<float> row_sums(y.elements());
  reference::Conv2d(magnitudes, {x_magnitudes.data(), x.shape},
                    residual ? residual_magnitudes.data() : nullptr, y, row_sums.data());
  const double k =
      static_cast<double>(op.window.kernel_h) * op.window.kernel_w * (op.in_channels / op.groups);
  std::vector<double> tolerance;
  for (float row_sum : row_sums) tolerance.push_back((k + 4) * std::ldexp(1.0, -24) * row_sum);
  return tolerance;
}

void ExpectWithin(const std::vector<float>& expected, const std::vector<float>& actual,
                  const std::vector<double>& tolerance) {
  ASSERT_EQ(expected.size(), actual.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const double difference = std::abs(static_cast<double>(expected[i]) - actual[i]);
    ASSERT_TRUE(difference <= tolerance[i])
        << "at " << i << ": expected " << expected[i] << " ± " << tolerance[i] << " but got " << actual[i];
  }
}

void ExpectSameBits(const std::vector<float>& expected, const std::vector<float>& actual) {
  ASSERT_EQ(expected.size(), actual.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(expected[i]) && std::isnan(actual[i])) continue;
    ASSERT_EQ(expected[i], actual[i]) << "at " << i;
  }
}

}  // namespace resnet_native::cpu::testing
