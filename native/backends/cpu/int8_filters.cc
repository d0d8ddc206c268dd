#include "native/backends/cpu/int8_filters.h"

#include <algorithm>
#include <numeric>

#include "native/backends/cpu/arithmetic.h"

namespace resnet_native::cpu {

QuantizedFilters::QuantizedFilters(const Int8FilterSource& source)
    : filters(QuantizeFilters(source.filters.filters, static_cast<int>(source.filters.out_channels),
                              source.operands.node_name)),
      to(RequantizeProducts(filters, source.filters.bias, source.operands.x, source.operands.residual,
                            source.operands.y)) {}

Int8PackedFilters::Int8PackedFilters(const Int8FilterSource& all, int depth, ThreadPool& pool)
    : depth_(depth) {
  const FilterSource& source = all.filters;
  const int64_t in_per_group = source.in_channels / source.groups;
  const bool square = source.in_channels == source.out_channels;
  block_ranges_ = source.groups > 1 && square && kInt8Block % in_per_group == 0;
  range_channels_ = block_ranges_ ? kInt8Block : in_per_group;
  ranges_ = block_ranges_ ? CeilDiv(source.in_channels, kInt8Block) : source.groups;
  steps_ = CeilDiv(source.taps() * range_channels_, depth);
  MakePanels(source);

  const QuantizedFilters quantized(all);
  residual_multiplier_ = quantized.to.residual_multiplier;
  const auto panels = static_cast<int64_t>(panels_.size());
  weights_ = AlignedBuffer(static_cast<size_t>(panels * kBlocksOfPanel * BlockBytes()));
  weight_sums_ = AlignedBuffer(static_cast<size_t>(panels * kInt8Panel) * sizeof(int32_t));
  finish_ = AlignedBuffer(static_cast<size_t>(panels * 2 * kInt8Panel) * sizeof(float));
  pool.ParallelFor(panels, [&](int64_t i, int) { Pack(source, quantized, i); });
}

void Int8PackedFilters::MakePanels(const FilterSource& source) {
  const int64_t groups = block_ranges_ ? 1 : source.groups;
  const int64_t out_per_group = source.out_channels / groups;
  for (int64_t group = 0; group < groups; ++group) {
    for (int64_t first = 0; first < out_per_group; first += kInt8Panel) {
      Panel panel;
      panel.first_out = group * out_per_group + first;
      panel.channels = static_cast<int>(std::min<int64_t>(kInt8Panel, out_per_group - first));
      panel.blocks = static_cast<int>(CeilDiv(panel.channels, kInt8Block));
      panel.first_range = block_ranges_ ? panel.first_out / kInt8Block : group;
      panels_.push_back(panel);
    }
  }
}

void Int8PackedFilters::Pack(const FilterSource& source, const QuantizedFilters& quantized, int64_t index) {
  const Panel& panel = panels_[index];
  auto* weights = const_cast<int8_t*>(Weights(index, 0));
  auto* sums = const_cast<int32_t*>(WeightSums(index, 0));
  auto* multiplier = const_cast<float*>(Multiplier(index));
  std::fill_n(weights, kBlocksOfPanel * BlockBytes(), int8_t{0});
  std::fill_n(sums, kInt8Panel, 0);
  std::fill_n(multiplier, 2 * kInt8Panel, 0.0f);
  const int64_t in_per_group = source.in_channels / source.groups;
  const int64_t out_per_group = source.out_channels / source.groups;
  for (int lane = 0; lane < panel.channels; ++lane) {
    const int64_t out = panel.first_out + lane;
    multiplier[lane] = quantized.to.multiplier[out];
    multiplier[kInt8Panel + lane] = quantized.to.offset[out];
    // Where the group's channels begin in the block's range.
    const int64_t first_in = out / out_per_group * in_per_group;
    const int64_t in_range = block_ranges_ ? first_in % kInt8Block : 0;
    const int8_t* filter = quantized.filters.values.data() + out * in_per_group * source.taps();
    sums[lane] = std::accumulate(filter, filter + in_per_group * source.taps(), 0);
    int8_t* block = weights + lane / kInt8Block * BlockBytes() + lane % kInt8Block * depth_;
    for (int64_t c = 0; c < in_per_group; ++c) {
      for (int64_t tap = 0; tap < source.taps(); ++tap) {
        const int64_t k = tap * range_channels_ + in_range + c;
        block[k / depth_ * (kInt8Block * depth_) + k % depth_] = filter[c * source.taps() + tap];
      }
    }
  }
}

}  // namespace resnet_native::cpu
