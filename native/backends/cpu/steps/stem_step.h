#pragma once

#include "native/backends/cpu/conv_tiles.h"
#include "native/backends/cpu/input_reader.h"
#include "native/backends/cpu/packed_filters.h"
#include "native/backends/cpu/steps/step.h"

namespace resnet_native::cpu {

// A convolution that reads the run's input. For each band of output rows, the input rows under it are
// converted to NHWC elements of the kernels' type with the padding around them. There a whole row of the
// kernel is contiguous, and is one tap of kernel_w × channels: with 3 channels nothing is multiplied in vain.
class StemStep final : public Step {
 public:
  // `dtype` is that of the kernels, of the residual and of the result.
  StemStep(const Conv2dOp& op, DType dtype, const StepOptions& options);

  void Run(const StepRun& run) const override;
  std::string Kernel() const override { return "stem " + filters_.description(); }
  int64_t Macs(const TensorShape& y) const override;
  size_t ScratchBytes(const TensorShape& x, const TensorShape& y, int threads) const override;

 private:
  // Output rows [first, last) of image n, and the input rows under them.
  struct Band {
    int64_t n, first, last;
    int64_t input_rows;  // with padding
    int64_t stride;      // elements from one input row to the next, with padding
  };
  int64_t BandsPerImage(const TensorShape& y, int threads) const;
  Band BandAt(int64_t index, int64_t per_image, int64_t input_w, const TensorShape& y) const;
  void RunBand(const Band& band, const StepRun& run, char* scratch) const;
  size_t RowsBytes(int64_t elements) const;
  void FillRows(const Band& band, const InputBatch& input, char* rows, float* scratch) const;
  void FillPointers(const Band& band, const char* rows, int64_t width, const Tiling& tiling,
                    const char** pointers) const;

  const Window window_;
  const int64_t channels_;
  const bool relu_;
  const bool join_columns_;
  const PackedFilters filters_;
  const InputReader reader_;
};

}  // namespace resnet_native::cpu
