#pragma once

#include <vector>

#include "native/backends/cpu/input_reader.h"
#include "native/backends/cpu/steps/step.h"

namespace resnet_native::cpu {

// `dtype` is that of what a step reads and of what it makes, where nothing else is said.

// The run's input as an activation, for whatever is no convolution.
class InputStep final : public Step {
 public:
  // `dtype` is that of the result.
  InputStep(int channels, const std::optional<ChannelAffine>& normalize, DType dtype,
            const StepOptions& options)
      : reader_(channels, normalize, dtype, *options.kernels[dtype].elementwise) {}

  void Run(const StepRun& run) const override;
  std::string Kernel() const override { return "convert"; }
  size_t ScratchBytes(const TensorShape& x, const TensorShape& y, int threads) const override;

 private:
  const InputReader reader_;
};

// A batch norm that could not be folded into a convolution.
class BatchNormStep final : public Step {
 public:
  BatchNormStep(const BatchNormOp& op, DType dtype, const StepOptions& options);

  void Run(const StepRun& run) const override;
  std::string Kernel() const override { return "scale and shift"; }

 private:
  const ElementwiseKernels& kernels_;
  std::vector<float> scale_, shift_;
};

class ReluStep final : public Step {
 public:
  ReluStep(DType dtype, const StepOptions& options) : kernels_(*options.kernels[dtype].elementwise) {}

  void Run(const StepRun& run) const override;
  std::string Kernel() const override { return "relu"; }

 private:
  const ElementwiseKernels& kernels_;
};

class AddStep final : public Step {
 public:
  AddStep(const AddOp& op, DType dtype, const StepOptions& options)
      : relu_(op.relu), kernels_(*options.kernels[dtype].elementwise) {}

  void Run(const StepRun& run) const override;
  std::string Kernel() const override { return relu_ ? "add, relu" : "add"; }

 private:
  const bool relu_;
  const ElementwiseKernels& kernels_;
};

class ZeroPadShortcutStep final : public Step {
 public:
  // `zero`: the byte that zeros are made of.
  explicit ZeroPadShortcutStep(const ZeroPadShortcutOp& op, char zero = 0)
      : stride_(op.stride), zero_(zero) {}

  void Run(const StepRun& run) const override;
  std::string Kernel() const override { return "copy"; }

 private:
  const int stride_;
  const char zero_;
};

}  // namespace resnet_native::cpu
