#pragma once

#include <vector>

#include "native/backends/cpu/conv_tiles.h"
#include "native/backends/cpu/packed_filters.h"
#include "native/backends/cpu/steps/step.h"

namespace resnet_native::cpu {

// Convolution of an activation as an implicit matrix product: no im2col, only a table of pointers for each
// block of pixels, in which padding points to zeros. A 1×1 convolution is a matrix product over the pixels as
// they lie. `dtype` is that of the input, and chooses the kernels.
class ConvStep final : public Step {
 public:
  ConvStep(const Conv2dOp& op, DType dtype, const StepOptions& options);
  // A fully connected layer is a 1×1 convolution of one pixel for each image.
  ConvStep(const LinearOp& op, DType dtype, const StepOptions& options);

  void Run(const StepRun& run) const override;
  std::string Kernel() const override { return filters_.description(); }
  int64_t Macs(const TensorShape& y) const override;
  size_t ScratchBytes(const TensorShape& x, const TensorShape& y, int threads) const override;

 private:
  void FillPointers(const TensorView& x, const TensorShape& y, const Tiling& tiling, const ConvItem& item,
                    const char** pointers) const;

  const Window window_;
  const bool relu_;
  const PackedFilters filters_;
  const std::vector<char> zeros_;  // a pixel of the padding
};

}  // namespace resnet_native::cpu
