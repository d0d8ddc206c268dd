#pragma once

#include "native/backends/cpu/int8_filters.h"
#include "native/backends/cpu/steps/band_step.h"
#include "native/backends/cpu/steps/pixel_place.h"

namespace resnet_native::cpu {

// Convolution of bytes as a matrix product: the pixels under the taps of a block of outputs are gathered in
// rows that stay in the second-level cache while all panels of weights pass over them. A 1×1 convolution
// without stride takes the pixels as they lie.
class Int8ConvStep final : public BandStep {
 public:
  Int8ConvStep(const Conv2dOp& op, const Int8Operands& operands, const StepOptions& options);
  // A fully connected layer is a 1×1 convolution of one pixel for each image.
  Int8ConvStep(const LinearOp& op, const Int8Operands& operands, const StepOptions& options);

  void Run(const StepRun& run) const override;
  std::string Kernel() const override;
  int64_t Macs(const TensorShape& y) const override;
  size_t ScratchBytes(const TensorShape& x, const TensorShape& y, int threads) const override;
  void RunBand(const StepRun& run, const Band& band, char* scratch) const override;
  size_t BandBytes(const TensorShape& x, int64_t rows) const override;

 private:
  // How a layer is cut into items of work: blocks of pixels × ranges of panels.
  struct Partition {
    int64_t pixel_blocks = 1, panel_blocks = 1;
  };
  // Output pixels [first, last) × panels [first, last).
  struct Item {
    int64_t first_pixel, last_pixel, first_panel, last_panel;
  };
  // Where an item's rows are: that of pixel i and range r at data + r * range_stride + i * row_stride.
  struct Rows {
    const uint8_t* data;
    int64_t row_stride, range_stride;
  };

  Partition ChoosePartition(int64_t pixels, int threads) const;
  bool TakesPixelsAsTheyLie(int64_t pixels) const;
  int64_t GatheredBytes(int64_t pixels) const;
  size_t ItemBytes(int64_t pixels) const;
  // `y` and `residual` of the run begin at the item's first pixel.
  void RunItem(const StepRun& run, const Item& item, char* scratch) const;
  void RunTile(const StepRun& run, const Rows& rows, int64_t panel, int64_t first_pixel, int pixels,
               int32_t* sums) const;
  void Gather(const TensorView& x, const TensorShape& y, const Item& item, uint8_t* rows) const;
  // `place`: of the output.
  void GatherPixel(const TensorView& x, const PixelPlace& place, uint8_t* row, int64_t range_stride) const;
  // `x`: the pixel under the tap.
  void GatherTap(const uint8_t* x, uint8_t* row, int64_t range_stride) const;

  const Window window_;
  const bool relu_;
  const int64_t in_channels_;
  const int64_t macs_per_output_;
  const uint8_t zero_;  // of the input
  const bool to_bytes_;
  const Int8Kernels& kernels_;
  const Int8PackedFilters filters_;
  const std::vector<uint8_t> padding_;  // a pixel of it
};

}  // namespace resnet_native::cpu
