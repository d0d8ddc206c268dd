#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "native/backends/cpu/aligned_buffer.h"
#include "native/backends/cpu/kernels/int8_kernels.h"
#include "native/backends/cpu/packed_filters.h"
#include "native/backends/cpu/thread_pool.h"
#include "native/graph/graph.h"
#include "native/graph/quantization.h"

namespace resnet_native::cpu {

// How the operands of an operation of a quantised graph are held; its result is float32 where y is none.
struct Int8Operands {
  const std::string& node_name;  // for errors
  Quantization x;
  std::optional<Quantization> residual, y;
};

// What is packed.
struct Int8FilterSource {
  FilterSource filters;
  const Int8Operands& operands;
};

// The filters as int8, and what follows their sums. Throws kInvalidArgument for weights that are no numbers.
struct QuantizedFilters {
  Int8Filters filters;
  Requantization to;

  explicit QuantizedFilters(const Int8FilterSource& source);
};

// int8 weights as the kernels read them, and what follows the sums.
//
// The input channels are cut into ranges, for each of which the pixels under the taps lie together as one row
// of a matrix: [taps][channels of the range], filled up to `steps` × depth bytes. Without groups there is one
// range. With groups that divide a block of 16 channels, every block of outputs has the range of its 16
// inputs, with zeros for the products between groups; with other groups, each group has its own panels.
class Int8PackedFilters {
 public:
  struct Panel {
    int64_t first_out = 0;
    int channels = 0;         // outputs, up to 64
    int blocks = 0;           // of 16
    int64_t first_range = 0;  // of its first block
  };

  // `depth`: of the kernels. Throws kInvalidArgument for weights that are no numbers.
  Int8PackedFilters(const Int8FilterSource& all, int depth, ThreadPool& pool);

  const std::vector<Panel>& panels() const { return panels_; }
  int64_t ranges() const { return ranges_; }
  int64_t range_channels() const { return range_channels_; }
  bool block_ranges() const { return block_ranges_; }  // each block has a range of its own
  int64_t steps() const { return steps_; }
  int64_t row_bytes() const { return depth_ * steps_; }
  int64_t bytes() const { return static_cast<int64_t>(weights_.size()); }

  const int8_t* Weights(int64_t panel, int block) const {
    return weights_.As<int8_t>() + (panel * kBlocksOfPanel + block) * BlockBytes();
  }
  const int32_t* WeightSums(int64_t panel, int block) const {
    return weight_sums_.As<int32_t>() + panel * kInt8Panel + block * kInt8Block;
  }
  const float* Multiplier(int64_t panel) const { return finish_.As<float>() + panel * 2 * kInt8Panel; }
  const float* Offset(int64_t panel) const { return Multiplier(panel) + kInt8Panel; }
  float residual_multiplier() const { return residual_multiplier_; }

 private:
  static constexpr int kBlocksOfPanel = kInt8Panel / kInt8Block;

  int64_t BlockBytes() const { return steps_ * kInt8Block * depth_; }
  void MakePanels(const FilterSource& source);
  void Pack(const FilterSource& source, const QuantizedFilters& quantized, int64_t panel);

  const int depth_;
  std::vector<Panel> panels_;
  int64_t ranges_ = 1, range_channels_ = 0, steps_ = 0;
  bool block_ranges_ = false;
  float residual_multiplier_ = 0;
  AlignedBuffer weights_, weight_sums_, finish_;
};

}  // namespace resnet_native::cpu
