#pragma once

#include "native/backends/cpu/steps/step.h"

namespace resnet_native::cpu {

// The largest values under a window, row by row.
class MaxPooling {
 public:
  MaxPooling(const Window& window, DType dtype, const StepOptions& options)
      : window_(window), kernels_(*options.kernels[dtype].pool) {}

  const Window& window() const { return window_; }
  const PoolKernels& kernels() const { return kernels_; }
  // Memory for RunRow.
  size_t ScratchBytes() const { return static_cast<size_t>(window_.kernel_h) * sizeof(const char*); }
  // Row `row`, y_width pixels, of the result for an image of x's height, width and channels, whose rows from
  // first_row on lie in x.
  void RunRow(const TensorView& x, int64_t first_row, int64_t row, char* y, int64_t y_width,
              const char** scratch) const;

 private:
  const Window window_;
  const PoolKernels& kernels_;
};

class MaxPoolStep final : public Step {
 public:
  MaxPoolStep(const MaxPool2dOp& op, DType dtype, const StepOptions& options);

  void Run(const StepRun& run) const override;
  std::string Kernel() const override;
  size_t ScratchBytes(const TensorShape& x, const TensorShape& y, int threads) const override;

 private:
  const MaxPooling pooling_;
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
