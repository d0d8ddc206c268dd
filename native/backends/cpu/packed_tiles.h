#pragma once

#include <vector>

#include "native/backends/cpu/aligned_buffer.h"
#include "native/backends/cpu/int8_filters.h"
#include "native/backends/cpu/kernels/kernels.h"
#include "native/backends/cpu/packed_filters.h"
#include "native/backends/cpu/thread_pool.h"

namespace resnet_native::cpu {

// Weights as tile units read them (TilePanel in kernels.h), in panels of 32 output channels. Groups narrower
// than a step of the sum are computed together, with zeros between them: a NaN or an infinity then reaches
// the groups beside its own.
class PackedTiles {
 public:
  // Rounds to bfloat16. Packs with all threads of the pool, as does the next.
  PackedTiles(const FilterSource& source, const TileConvKernels& kernels, ThreadPool& pool);
  // Quantises. Throws kInvalidArgument for weights that are no numbers.
  PackedTiles(const Int8FilterSource& source, const TileConvKernels& kernels, ThreadPool& pool);

  const std::vector<TilePanel>& panels() const { return panels_; }
  int64_t steps() const { return steps_; }  // of every tap
  int64_t bytes() const { return static_cast<int64_t>(weights_.size()); }
  // Channels that a pixel must have for every panel to read whole steps.
  int64_t readable_channels() const { return readable_channels_; }
  float residual_multiplier() const { return residual_multiplier_; }  // of bytes

 private:
  PackedTiles(const FilterSource& source, const TileConvKernels& kernels, int64_t element_bytes);

  // Calls store(out, index in the filters' values, where) for each weight, and finish(out, multiplier, bias)
  // for each channel.
  template <class Store, class Finish>
  void Pack(const FilterSource& source, ThreadPool& pool, const Store& store, const Finish& finish);
  template <class Store>
  void PackLane(const FilterSource& source, const TilePanel& panel, int64_t lane, char* weights,
                const Store& store) const;

  const int64_t element_bytes_, channels_per_step_, taps_;
  int64_t steps_ = 1, readable_channels_ = 0;
  float residual_multiplier_ = 0;
  std::vector<TilePanel> panels_;
  AlignedBuffer weights_, finish_;
};

}  // namespace resnet_native::cpu
