#pragma once

#include <string>
#include <vector>

#include "native/backends/cpu/grouped_filters.h"
#include "native/backends/cpu/steps/step.h"

namespace resnet_native::cpu {

// A convolution in narrow groups, as ResNeXt has them: few multiply-adds for each value that it reads, so
// that it lives from the caches.
class GroupedConvStep final : public Step {
 public:
  static bool Fits(const Conv2dOp& op, const GroupedKernels& kernels) {
    return GroupedFilters::Fit(op, kernels);
  }

  // `op` fits. `dtype` is that of the activations; filters are float32.
  GroupedConvStep(const Conv2dOp& op, DType dtype, const StepOptions& options);

  void Run(const StepRun& run) const override;
  std::string Kernel() const override { return description_; }
  int64_t Macs(const TensorShape& y) const override;
  size_t ScratchBytes(const TensorShape& x, const TensorShape& y, int threads) const override;

 private:
  // How the layer is cut into items of work: stretches of columns as wide as a tile, bands of an image's
  // rows, blocks of panels. Only speed depends on it.
  struct Partition {
    int64_t stretches, bands, panel_blocks;
  };
  struct Item {
    int64_t n, first_row, last_row, first_column, last_column;
    int64_t first_panel, last_panel;
  };
  Partition PartitionOf(const TensorShape& y, int threads) const;
  Item ItemOf(int64_t index, const Partition& partition, const TensorShape& y) const;
  int64_t InputColumns(int64_t output_columns) const { return (output_columns - 1) * window_.stride_w + 3; }
  int64_t InputRows(int64_t output_rows) const;
  void FillPointers(const TensorView& x, const Item& item, const char** pointers) const;
  void RunItem(const StepRun& run, const Item& item, const char* const* pointers) const;

  const Window window_;
  const bool relu_;
  const GroupedFilters filters_;
  const std::vector<char> zeros_;  // a pixel of the padding
  const std::string description_;
};

}  // namespace resnet_native::cpu
