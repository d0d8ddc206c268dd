#include "test/native/support/cpu_steps.h"

#include <cmath>
#include <cstring>
#include <random>

#include "native/backends/cpu/aligned_buffer.h"
#include "native/backends/cpu/kernels/kernels_of_row-inl.h"
#include "native/backends/cpu/kernels/simd_generic.h"
#include "native/backends/reference/kernels.h"
#include "native/bfloat16.h"

namespace resnet_native::cpu::testing {
namespace {

constexpr KernelsOfRow kEmulated = MakeKernels<Float32Dot<SimdGeneric<16>>, 24, 4, 14>();

// Floats behind a result that no step may write.
constexpr size_t kGuard = 64;
constexpr float kGuardValue = 12288.0f;  // of few bits: any data type holds it

std::vector<float> Magnitudes(std::vector<float> values) {
  for (float& value : values) value = std::abs(value);
  return values;
}

Weight Magnitudes(const Weight& weight) {
  return Weight::Own(Magnitudes(std::vector<float>(weight.data, weight.data + weight.size)));
}

// The elements of an activation as a step sees them.
class Elements {
 public:
  Elements(const std::vector<float>& values, DType dtype) : dtype_(dtype) {
    if (dtype == DType::kFloat32) {
      floats_ = values;
    } else {
      for (float value : values) halves_.push_back(resnet_native::ToBfloat16(value));
    }
  }
  TensorView View(const TensorShape& shape) {
    void* data = dtype_ == DType::kFloat32 ? static_cast<void*>(floats_.data()) : halves_.data();
    return {static_cast<char*>(data), shape, dtype_};
  }
  std::vector<float> Values() const {
    std::vector<float> values = floats_;
    for (uint16_t half : halves_) values.push_back(FromBfloat16(half));
    return values;
  }

 private:
  const DType dtype_;
  std::vector<float> floats_;
  std::vector<uint16_t> halves_;
};

std::vector<float> Run(const Step& step, ThreadPool& pool, const InputBatch& input, const Activation& x,
                       const Activation* residual, const TensorShape& y, const StepTypes& types) {
  const std::vector<float> guarded(y.elements() + kGuard, kGuardValue);
  Elements result(guarded, types.y), x_elements(x.data, types.x);
  Elements residual_elements(residual ? residual->data : std::vector<float>(), types.x);
  const size_t scratch_bytes = (step.ScratchBytes(x.shape, y, pool.threads()) + 63) / 64 * 64;
  AlignedBuffer scratch(scratch_bytes * pool.threads());
  StepRun run{input, x_elements.View(x.shape), {}, result.View(y), pool, {scratch.data(), scratch_bytes}};
  if (residual) run.residual = residual_elements.View(residual->shape);
  step.Run(run);
  std::vector<float> values = result.Values();
  for (size_t i = y.elements(); i < values.size(); ++i)
    EXPECT_EQ(values[i], kGuardValue) << "written behind the end";
  values.resize(y.elements());
  return values;
}

}  // namespace

std::vector<IsaCase> AllIsas() {
  std::vector<IsaCase> cases;
  for (Isa isa : {Isa::kScalar, Isa::kNeon, Isa::kAvx2, Isa::kAvx512}) {
    cases.push_back({IsaName(isa), {}, HasIsa(isa)});
    if (HasIsa(isa)) cases.back().kernels = KernelTable(FeaturesFor(isa));
  }
  cases.push_back({"emulated", {}, true});
  cases.back().kernels[DType::kFloat32] = {&kEmulated.conv, &kEmulated.grouped, &kEmulated.winograd,
                                           &kEmulated.pool, &kEmulated.elementwise};
  return cases;
}

std::vector<IsaCase> AllBfloat16Rows() {
  std::vector<IsaCase> cases;
  for (Isa isa : {Isa::kScalar, Isa::kNeon, Isa::kAvx2, Isa::kAvx512, Isa::kAmx}) {
    cases.push_back({IsaName(isa), {}, HasIsa(isa)});
    if (HasIsa(isa)) cases.back().kernels = KernelTable(FeaturesFor(isa));
  }
  for (Isa isa : {Isa::kNeon, Isa::kAvx512}) {
    cases.push_back({std::string(IsaName(isa)) + "_widened", {}, HasIsa(isa)});
    if (HasIsa(isa)) cases.back().kernels = KernelTable(FeaturesFor(isa) & ~(kNeonBf16 | kAvx512Bf16));
  }
  return cases;
}

std::vector<float> ToBfloat16(std::vector<float> values) {
  for (float& value : values) value = FromBfloat16(resnet_native::ToBfloat16(value));
  return values;
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

std::vector<float> RunStep(const Op& op, const KernelTable& kernels, int threads, const Activation& x,
                           const Activation* residual, const TensorShape& y, const StepTypes& types) {
  ThreadPool pool(threads);
  return RunStep(*MakeStep(op, false, types, {kernels, pool}), pool, x, residual, y, types);
}

std::vector<float> RunStep(const Step& step, ThreadPool& pool, const Activation& x,
                           const Activation* residual, const TensorShape& y, const StepTypes& types) {
  return Run(step, pool, InputBatch{}, x, residual, y, types);
}

std::vector<float> RunInputStep(const Op& op, const KernelTable& kernels, int threads,
                                const InputBatch& input, const Activation* residual, const TensorShape& y,
                                const StepTypes& types) {
  ThreadPool pool(threads);
  const std::unique_ptr<Step> step = MakeStep(op, true, types, {kernels, pool});
  return Run(*step, pool, input, {{input.n, input.h, input.w, input.c}, {}}, residual, y, types);
}

std::vector<double> ConvTolerance(const Conv2dOp& op, const Activation& x, const Activation* residual,
                                  const TensorShape& y) {
  Conv2dOp magnitudes = op;
  magnitudes.relu = false;
  magnitudes.filters.values = Magnitudes(op.filters.values.Read());
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

Conv2dOp WithBfloat16Filters(Conv2dOp op) {
  const Weight values = op.filters.values.Read();
  const size_t per_channel = values.size / op.out_channels;
  std::vector<float> rounded(values.size);
  for (size_t i = 0; i < rounded.size(); ++i) {
    const double scale = op.filters.Scale(static_cast<int>(i / per_channel));
    rounded[i] = static_cast<float>(values[i] * scale);
  }
  op.filters = {Weight::Own(ToBfloat16(std::move(rounded))), {}};
  return op;
}

std::vector<double> AndRounding(std::vector<double> tolerance, const std::vector<float>& expected) {
  for (size_t i = 0; i < expected.size(); ++i) {
    tolerance[i] += std::ldexp(std::abs(expected[i]) + tolerance[i], -8);
  }
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
