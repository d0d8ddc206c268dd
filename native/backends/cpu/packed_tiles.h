#pragma once

#include <string>
#include <vector>

#include "native/backends/cpu/aligned_buffer.h"
#include "native/backends/cpu/kernels/kernels.h"
#include "native/backends/cpu/packed_filters.h"
#include "native/backends/cpu/thread_pool.h"

namespace resnet_native::cpu {

// Weights as tile units read them (TilePanel in kernels.h), in panels of 32 output channels. Groups narrower
// than a step of the sum are computed together, with zeros between them: a NaN or an infinity then reaches
// the groups beside its own.
class PackedTiles {
 public:
  // Packs with all threads of the pool.
  PackedTiles(const FilterSource& source, const TileConvKernels& kernels, ThreadPool& pool);

  const std::vector<TilePanel>& panels() const { return panels_; }
  int64_t steps() const { return steps_; }  // of every tap
  int64_t bytes() const { return static_cast<int64_t>(weights_.size()); }
  // Channels that a pixel must have for every panel to read whole steps.
  int64_t readable_channels() const { return readable_channels_; }

 private:
  void Pack(const FilterSource& source, int64_t panel);

  const int channels_per_step_;
  const int64_t taps_, in_per_group_, out_per_group_;
  int64_t steps_ = 1, readable_channels_ = 0, panel_bytes_ = 0;
  std::vector<TilePanel> panels_;
  std::vector<int64_t> first_in_;
  AlignedBuffer weights_, bias_;
};

}  // namespace resnet_native::cpu
