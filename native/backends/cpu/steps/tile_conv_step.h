#pragma once

#include <optional>

#include "native/backends/cpu/input_planes.h"
#include "native/backends/cpu/input_reader.h"
#include "native/backends/cpu/packed_tiles.h"
#include "native/backends/cpu/steps/band_step.h"

namespace resnet_native::cpu {

// Convolution with tile units. They need a tap's pixels at equal distances: a 1×1 convolution finds its input
// so, any other works on a copy of the rows under a band of output rows (input_planes.h).
class TileConvStep final : public BandStep {
 public:
  // `dtype` is that of the input and the residual. `from_input`: it reads the run's input.
  TileConvStep(const Conv2dOp& op, bool from_input, DType dtype, const StepOptions& options);
  TileConvStep(const LinearOp& op, DType dtype, const StepOptions& options);
  // Of int8. Throws kInvalidArgument for weights that are no numbers.
  TileConvStep(const Conv2dOp& op, const Int8Operands& operands, const StepOptions& options);
  TileConvStep(const LinearOp& op, const Int8Operands& operands, const StepOptions& options);

  void Run(const StepRun& run) const override;
  std::string Kernel() const override;
  int64_t Macs(const TensorShape& y) const override;
  size_t ScratchBytes(const TensorShape& x, const TensorShape& y, int threads) const override;
  void RunBand(const StepRun& run, const Band& band, char* scratch) const override;
  size_t BandBytes(const TensorShape& x, int64_t rows) const override;

 private:
  struct Shape {
    Window window;
    bool relu;
    DType dtype;
    char padding = 0;  // the byte that it is made of
  };
  TileConvStep(const Shape& shape, const FilterSource& source, PackedTiles filters,
               std::optional<InputReader> reader, const TileConvKernels& kernels);

  // Items of work: bands of pixels, or of rows where there are planes, × ranges of panels.
  struct Partition {
    int64_t bands, panel_ranges;
    bool by_range;  // items of a range follow each other, else those of a band
  };
  struct Item {
    int64_t band, range;
  };
  // The panels of a part of the layer: all of them, unless said otherwise.
  struct PanelRange {
    int64_t index = 0, ranges = 1;
  };
  Partition ChoosePartition(const TensorShape& x, int64_t units, int threads) const;
  Item ItemAt(int64_t i, const Partition& partition) const;
  void RunOnPixels(const StepRun& run) const;
  void RunOnPlanes(const StepRun& run) const;
  // In these, `y` and `residual` of the run begin at the first pixel. `first` counts through the input's.
  void RunPixels(const StepRun& run, int64_t first, int64_t count, const PanelRange& range) const;
  void RunPlanes(const StepRun& run, const InputPlanes::Layout& layout, const char* planes,
                 const PanelRange& range) const;
  void FillPlanes(const StepRun& run, const Band& band, const InputPlanes::Layout& layout,
                  char* scratch) const;
  TileConv Describe(const StepRun& run) const;
  void SetPanels(const PanelRange& range, TileConv& conv) const;

  const Window window_;
  const int64_t in_channels_, macs_per_output_;
  const bool relu_;
  const int64_t element_;  // bytes of one
  const TileConvKernels& kernels_;
  const PackedTiles filters_;
  const bool direct_;  // the input's pixels as they lie
  const InputPlanes planes_;
  const std::optional<InputReader> reader_;  // of the run's input
};

}  // namespace resnet_native::cpu
