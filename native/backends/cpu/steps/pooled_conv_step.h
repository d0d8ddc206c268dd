#pragma once

#include <memory>

#include "native/backends/cpu/steps/band_step.h"
#include "native/backends/cpu/steps/pool_steps.h"

namespace resnet_native::cpu {

// A convolution whose result is pooled at once: each thread computes bands of its rows into a buffer that its
// caches hold. Rows that the next band reads as well are kept if the same thread goes on with that, and
// computed again if not; no result depends on it.
class PooledConvStep final : public Step {
 public:
  // `conv` is the step for `op` without its pooling; `dtype` chooses the kernels that pool its results.
  PooledConvStep(const Conv2dOp& op, std::unique_ptr<const BandStep> conv, DType dtype,
                 const StepOptions& options);

  void Run(const StepRun& run) const override;
  std::string Kernel() const override { return conv_->Kernel() + ", max pool"; }
  int64_t Macs(const TensorShape& convolved) const override { return conv_->Macs(convolved); }
  size_t ScratchBytes(const TensorShape& x, const TensorShape& y, int threads) const override;

 private:
  using Band = BandStep::Band;
  // A thread's memory.
  struct Buffers {
    TensorView rows;  // has the shape of all that is convolved
    const char** pool;
    char* conv;
  };

  TensorShape ConvolvedShape(const TensorShape& x) const;
  int64_t RowBytes(const TensorShape& convolved) const { return convolved.w * convolved.c * element_; }
  // How many rows are read for so many of the result.
  int64_t RowsUnder(int64_t rows, const TensorShape& convolved) const;
  int64_t BandsPerImage(const TensorShape& convolved, const TensorShape& y, int threads) const;
  size_t RowsBytes(const TensorShape& convolved, int64_t rows) const;
  size_t PoolBytes() const;
  // The rows that are read for a band of the result: not those in the padding.
  Band RowsFor(const Band& band, const TensorShape& convolved) const;
  // Makes a buffer that holds some rows hold those that are wanted.
  void Convolve(const StepRun& run, const Band& wanted, const Buffers& buffers, Band& held) const;

  const Window conv_window_;
  const int out_channels_;
  const int64_t element_;  // bytes of one
  const std::unique_ptr<const BandStep> conv_;
  const MaxPooling pooling_;
};

}  // namespace resnet_native::cpu
