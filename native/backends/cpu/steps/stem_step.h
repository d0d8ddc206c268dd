#pragma once

#include "native/backends/cpu/conv_tiles.h"
#include "native/backends/cpu/input_reader.h"
#include "native/backends/cpu/packed_filters.h"
#include "native/backends/cpu/steps/band_step.h"

namespace resnet_native::cpu {

// A convolution that reads the run's input. For each band of output rows, the input rows under it are
// converted to NHWC elements of the kernels' type with the padding around them. There a whole row of the
// kernel is contiguous, and is one tap of kernel_w × channels: with 3 channels nothing is multiplied in vain.
class StemStep final : public BandStep {
 public:
  // `dtype` is that of the kernels, of the residual and of the result.
  StemStep(const Conv2dOp& op, DType dtype, const StepOptions& options);

  void Run(const StepRun& run) const override;
  std::string Kernel() const override { return "stem " + filters_.description(); }
  int64_t Macs(const TensorShape& y) const override;
  size_t ScratchBytes(const TensorShape& x, const TensorShape& y, int threads) const override;
  void RunBand(const StepRun& run, const Band& band, char* scratch) const override;
  size_t BandBytes(const TensorShape& x, int64_t rows) const override;

 private:
  int64_t BandsPerImage(const TensorShape& y, int threads) const;
  // The input rows under so many output rows, with padding, and the bytes from one to the next.
  int64_t InputRows(int64_t rows) const;
  int64_t RowStride(int64_t input_w) const;
  size_t RowsBytes(int64_t rows, int64_t input_w) const;
  void FillRows(const Band& band, const InputBatch& input, char* rows, float* scratch) const;
  void FillPointers(const char* rows, int64_t row_stride, int64_t width, const Tiling& tiling,
                    const char** pointers) const;

  const Window window_;
  const int64_t channels_;
  const bool relu_;
  const bool join_columns_;
  const PackedFilters filters_;
  const InputReader reader_;
};

}  // namespace resnet_native::cpu
