#pragma once

#include "native/backends/cpu/aligned_buffer.h"
#include "native/backends/cpu/conv_algorithm.h"
#include "native/backends/cpu/dispatch.h"
#include "native/backends/cpu/packed_filters.h"
#include "native/backends/cpu/thread_pool.h"

namespace resnet_native::cpu {

// G g Gᵀ of `count` 3×3 filters, in double: [9][count] to [points × points][count].
void TransformFilters(WinogradTile tile, const double* filters, int count, double* transformed);

// The transformed filters of a layer, packed for the convolution micro-kernels: for each position of the
// transform the panels of a 1×1 convolution, [position][panel][channel][lanes].
class WinogradFilters {
 public:
  // `source` has one group and 3×3 filters; the kernels are those for float32. Transforms with all threads
  // of the pool.
  WinogradFilters(const FilterSource& source, WinogradTile tile, const ConvKernels& kernels,
                  ThreadPool& pool);

  WinogradTile tile() const { return tile_; }
  int positions() const { return PointsOf(tile_) * PointsOf(tile_); }
  int64_t in_channels() const { return in_channels_; }
  int64_t out_channels() const { return out_channels_; }
  // out_channels rounded up to whole vectors.
  int64_t padded_out_channels() const { return padded_out_channels_; }
  int64_t panels() const { return (padded_out_channels_ + panel_width_ - 1) / panel_width_; }
  int64_t FirstOut(int64_t panel) const { return panel * panel_width_; }
  int Blocks(int64_t panel) const;
  int64_t bytes() const { return static_cast<int64_t>(packed_.size()); }
  // Of one panel at one position.
  int64_t WeightBytes(int64_t panel) const {
    return in_channels_ * Blocks(panel) * kernels_.lanes * static_cast<int64_t>(sizeof(float));
  }
  int max_pixels() const { return kernels_.max_pixels[Blocks(0) - 1]; }

  const float* Weights(int position, int64_t panel) const {
    return packed_.As<float>() + (position * padded_out_channels_ + FirstOut(panel)) * in_channels_;
  }
  // padded_out_channels floats.
  const float* bias() const { return bias_.As<float>(); }
  ConvKernel KernelFor(int64_t panel, int64_t pixels) const {
    return kernels_.table[(Blocks(panel) - 1) * kernels_.max_pixels[0] + pixels - 1];
  }
  int lanes() const { return kernels_.lanes; }

 private:
  void Pack(const FilterSource& source, int64_t first_out);

  const WinogradTile tile_;
  const ConvKernels& kernels_;
  const int64_t in_channels_, out_channels_, panel_width_, padded_out_channels_;
  AlignedBuffer packed_, bias_;
};

}  // namespace resnet_native::cpu
