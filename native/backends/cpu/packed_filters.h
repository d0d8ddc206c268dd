#pragma once

#include <string>
#include <vector>

#include "native/backends/cpu/aligned_buffer.h"
#include "native/backends/cpu/arithmetic.h"
#include "native/backends/cpu/kernels/kernels.h"
#include "native/backends/cpu/thread_pool.h"
#include "native/graph/graph.h"
#include "native/tensor.h"

namespace resnet_native::cpu {

// A run of output channels, as wide as a tile of the kernels: the unit of packing and of work.
struct Panel {
  int64_t weights = 0, bias = 0;  // offsets in the packed words
  int64_t first_out = 0;          // the first output channel
  int64_t first_in = 0;           // the first input channel that it reads
  int blocks = 1;                 // vectors
  int last_lanes = 0;             // channels in the last of them
};

// A part of the sum over taps × channels whose weights fit in the second-level cache beside the pixels.
struct SumPart {
  int64_t first_tap = 0, taps = 0, first_channel = 0, channels = 0;
};

// What is packed: filters [out_channels][in_channels / groups][kernel_h][kernel_w] and a bias, as in the
// graph.
struct FilterSource {
  const Filters& filters;
  const Weight& bias;
  int64_t in_channels, out_channels;
  int groups = 1, kernel_h = 1, kernel_w = 1;
  // The columns of a kernel's row lie beside each other in memory wherever it is applied: each row is one
  // tap, of kernel_w × in_channels channels.
  bool join_columns = false;

  int64_t taps() const { return int64_t{kernel_h} * (join_columns ? 1 : kernel_w); }
};
FilterSource FiltersOf(const Conv2dOp& op);
FilterSource FiltersOf(const LinearOp& op);

// Weights in the order in which the kernels read them: panel after panel, each
// [taps][channels / depth][lanes][depth], in words of four bytes.
class PackedFilters {
 public:
  // Packs with all threads of the pool, for kernels that work on this data type.
  PackedFilters(const FilterSource& source, DType dtype, const ConvKernels& kernels, ThreadPool& pool);

  DType dtype() const { return dtype_; }
  int depth() const { return depth_; }

  const std::vector<Panel>& panels() const { return panels_; }
  const std::vector<SumPart>& parts() const { return parts_; }
  int64_t taps() const { return taps_; }
  int64_t channels() const { return channels_; }
  int max_pixels() const { return max_pixels_; }

  // The kernel for a tile of so many pixels of a panel.
  ConvKernel KernelFor(const Panel& panel, int64_t pixels) const {
    return kernels_[(panel.blocks - 1) * kernels_per_row_ + pixels - 1];
  }
  const float* Bias(const Panel& panel) const { return packed_.As<float>() + panel.bias; }
  const char* Weights(const Panel& panel, const SumPart& part) const {
    const int64_t steps = part.first_tap * steps_ + part.first_channel / depth_;
    return packed_.data() + (panel.weights + steps * StepWords(panel)) * kWordBytes;
  }
  int64_t WeightBytes(const Panel& panel, const SumPart& part) const {
    return part.taps * CeilDiv(part.channels, depth_) * StepWords(panel) * kWordBytes;
  }

  // "direct 6x16 avx2": the algorithm, pixels × channels of a tile, the instruction set.
  const std::string& description() const { return description_; }

 private:
  static constexpr int64_t kWordBytes = 4;

  void MakePanels(const FilterSource& source, int max_blocks);
  void AddPanel(int64_t first_out, int64_t first_in, int64_t channels);
  void MakeParts();
  int64_t Width(const Panel& panel) const { return int64_t{panel.blocks} * lanes_; }
  // From the weights of one step of the sum to the next's.
  int64_t StepWords(const Panel& panel) const { return Width(panel) * words_per_lane_; }
  void Pack(const FilterSource& source, const Panel& panel);
  // Channel `index` of those that a lane's words hold.
  void StoreWeight(float value, int64_t index, float* words) const;

  const DType dtype_;
  int depth_, lanes_, words_per_lane_, max_pixels_;
  const ConvKernel* kernels_;  // a row for each number of vectors
  int kernels_per_row_;
  int64_t taps_, channels_;
  int64_t steps_;  // of the sum over a tap's channels
  std::vector<Panel> panels_;
  std::vector<SumPart> parts_;
  AlignedBuffer packed_;
  std::string description_;
};

}  // namespace resnet_native::cpu
