#include "native/backends/cpu/packed_tiles.h"

#include <algorithm>
#include <cstring>

#include "native/bfloat16.h"

namespace resnet_native::cpu {
namespace {

constexpr int64_t kPanelChannels = 32, kTileChannels = 16, kTileBytes = 1024, kWordBytes = 4;

int64_t TilesOf(const TilePanel& panel) { return CeilDiv(panel.channels, kTileChannels); }

}  // namespace

// A panel's channels begin at a whole step, so that what it reads lies on a cache line's boundary.
PackedTiles::PackedTiles(const FilterSource& source, const TileConvKernels& kernels, int64_t element_bytes)
    : element_bytes_(element_bytes), channels_per_step_(kernels.channels_per_step), taps_(source.taps()) {
  const int64_t in_per_group = source.in_channels / source.groups;
  const int64_t out_per_group = source.out_channels / source.groups;
  const int64_t joined = source.join_columns ? source.kernel_w : 1;
  for (int64_t first = 0; first < source.out_channels; first += kPanelChannels) {
    const int64_t channels = std::min(kPanelChannels, source.out_channels - first);
    const int64_t first_group = first / out_per_group, last_group = (first + channels - 1) / out_per_group;
    const int64_t first_in = first_group * in_per_group / channels_per_step_ * channels_per_step_;
    const int64_t in = ((last_group + 1) * in_per_group - first_in) * joined;
    steps_ = std::max(steps_, CeilDiv(in, channels_per_step_));
    panels_.push_back(
        {nullptr, nullptr, nullptr, first_in * element_bytes, first, static_cast<int>(channels)});
  }
  readable_channels_ = panels_.back().input_offset / element_bytes + steps_ * channels_per_step_;
  const auto count = static_cast<int64_t>(panels_.size());
  const int64_t panel_bytes = taps_ * steps_ * (kPanelChannels / kTileChannels) * kTileBytes;
  weights_ = AlignedBuffer(
      static_cast<size_t>((count - 1) * panel_bytes + taps_ * steps_ * TilesOf(panels_.back()) * kTileBytes));
  finish_ = AlignedBuffer(static_cast<size_t>(count * 2 * kPanelChannels) * sizeof(float));
  std::fill_n(finish_.As<float>(), count * 2 * kPanelChannels, 0.0f);
  for (int64_t i = 0; i < count; ++i) {
    panels_[i].weights = weights_.data() + i * panel_bytes;
    panels_[i].multiplier = finish_.As<float>() + i * 2 * kPanelChannels;
    panels_[i].bias = panels_[i].multiplier + kPanelChannels;
  }
}

PackedTiles::PackedTiles(const FilterSource& source, const TileConvKernels& kernels, ThreadPool& pool)
    : PackedTiles(source, kernels, int64_t{sizeof(uint16_t)}) {
  const Weight filters = source.filters.values.Read();
  const auto store = [&](int64_t out, int64_t index, char* to) {
    const double scale = source.filters.Scale(static_cast<int>(out));
    const uint16_t value = ToBfloat16(static_cast<float>(filters[index] * scale));
    std::memcpy(to, &value, sizeof value);
  };
  Pack(source, pool, store, [&](int64_t out, float&, float& bias) {
    if (!source.bias.empty()) bias = source.bias[out];
  });
}

PackedTiles::PackedTiles(const Int8FilterSource& source, const TileConvKernels& kernels, ThreadPool& pool)
    : PackedTiles(source.filters, kernels, int64_t{sizeof(int8_t)}) {
  const QuantizedFilters quantized(source);
  residual_multiplier_ = quantized.to.residual_multiplier;
  const auto store = [&](int64_t, int64_t index, char* to) {
    *to = static_cast<char>(quantized.filters.values[index]);
  };
  Pack(source.filters, pool, store, [&](int64_t out, float& multiplier, float& bias) {
    multiplier = quantized.to.multiplier[out];
    bias = quantized.to.offset[out];
  });
}

template <class Store, class Finish>
void PackedTiles::Pack(const FilterSource& source, ThreadPool& pool, const Store& store,
                       const Finish& finish) {
  pool.ParallelFor(static_cast<int64_t>(panels_.size()), [&](int64_t i, int) {
    const TilePanel& panel = panels_[i];
    char* weights = weights_.data() + (panel.weights - weights_.data());
    float* multiplier = finish_.As<float>() + i * 2 * kPanelChannels;
    std::memset(weights, 0, taps_ * steps_ * TilesOf(panel) * kTileBytes);
    for (int64_t lane = 0; lane < panel.channels; ++lane) {
      PackLane(source, panel, lane, weights, store);
      finish(panel.first_out + lane, multiplier[lane], multiplier[kPanelChannels + lane]);
    }
  });
}

template <class Store>
void PackedTiles::PackLane(const FilterSource& source, const TilePanel& panel, int64_t lane, char* weights,
                           const Store& store) const {
  const int64_t in_per_group = source.in_channels / source.groups;
  const int64_t out_per_group = source.out_channels / source.groups;
  const int64_t kernel = int64_t{source.kernel_h} * source.kernel_w, tiles = TilesOf(panel);
  const int64_t out = panel.first_out + lane, word_channels = kWordBytes / element_bytes_;
  // Where the group's channels begin in what the panel reads.
  const int64_t before = out / out_per_group * in_per_group - panel.input_offset / element_bytes_;
  for (int64_t c = 0; c < in_per_group; ++c) {
    for (int64_t k = 0; k < kernel; ++k) {
      const int64_t tap = source.join_columns ? k / source.kernel_w : k;
      const int64_t column = source.join_columns ? k % source.kernel_w : 0;
      const int64_t channel = before + column * source.in_channels + c;
      const int64_t step = channel / channels_per_step_, row = channel % channels_per_step_ / word_channels;
      char* tile = weights + ((tap * steps_ + step) * tiles + lane / kTileChannels) * kTileBytes;
      char* word = tile + (row * kTileChannels + lane % kTileChannels) * kWordBytes;
      store(out, (out * in_per_group + c) * kernel + k, word + channel % word_channels * element_bytes_);
    }
  }
}

}  // namespace resnet_native::cpu
