#pragma once

#include <vector>

#include "native/backends/cpu/aligned_buffer.h"
#include "native/backends/cpu/kernels/kernels.h"
#include "native/backends/cpu/packed_filters.h"
#include "native/graph/graph.h"

namespace resnet_native::cpu {

// Filters in groups that a vector holds whole, packed for the grouped kernels: a panel for each vector of
// channels.
class GroupedFilters {
 public:
  // Whether those kernels are for this convolution. For wider groups other kernels are as fast.
  static bool Fit(const Conv2dOp& op, const GroupedKernels& kernels);

  // `op` fits. Packs with all threads of the pool.
  GroupedFilters(const Conv2dOp& op, const GroupedKernels& kernels, ThreadPool& pool);

  const std::vector<Panel>& panels() const { return panels_; }
  int64_t rows() const { return rows_; }
  int64_t channels() const { return channels_; }  // of a group
  int max_columns() const { return kernels_.max_columns; }
  const float* Weights(const Panel& panel) const { return packed_.As<float>() + panel.weights; }
  const float* Bias(const Panel& panel) const { return packed_.As<float>() + panel.bias; }
  int64_t WeightBytes() const { return static_cast<int64_t>(packed_.size()); }
  // The first lane of each lane's group.
  const int32_t* group_lanes() const { return group_lanes_.data(); }
  GroupedKernel KernelFor(int64_t columns) const { return table_[columns - 1]; }

 private:
  void AddPanel(int64_t first_channel, int64_t channels);
  void Pack(const Conv2dOp& op, const Panel& panel);

  const GroupedKernels& kernels_;
  const int64_t rows_, channels_;
  const GroupedKernel* table_;  // for the group and the stride
  std::vector<int32_t> group_lanes_;
  std::vector<Panel> panels_;
  AlignedBuffer packed_;
};

}  // namespace resnet_native::cpu
