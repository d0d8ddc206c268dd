#pragma once

#include "native/backends/cpu/steps/step.h"

namespace resnet_native::cpu {

class MaxPoolStep final : public Step {
 public:
  MaxPoolStep(const MaxPool2dOp& op, DType dtype, const StepOptions& options);

  void Run(const StepRun& run) const override;
  std::string Kernel() const override;
  size_t ScratchBytes(const TensorShape& x, const TensorShape& y, int threads) const override;

 private:
  void RunRow(const TensorView& x, const TensorView& y, int64_t row, const char** taps) const;

  const Window window_;
  const PoolKernels& kernels_;
};

// Each sum is made by one thread in a fixed order: the result does not depend on the number of threads.
class GlobalAvgPoolStep final : public Step {
 public:
  GlobalAvgPoolStep(DType dtype, const StepOptions& options);

  void Run(const StepRun& run) const override;
  std::string Kernel() const override;

 private:
  const PoolKernels& kernels_;
};

}  // namespace resnet_native::cpu
