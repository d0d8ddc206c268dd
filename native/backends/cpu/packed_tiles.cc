#include "native/backends/cpu/packed_tiles.h"

#include <algorithm>
#include <cstring>

#include "native/bfloat16.h"

namespace resnet_native::cpu {
namespace {

constexpr int64_t kPanelChannels = 32, kTileChannels = 16, kTileBytes = 1024;
constexpr int64_t kWordBytes = 4, kElementBytes = 2;
constexpr int64_t kWordChannels = kWordBytes / kElementBytes;

int64_t TilesOf(const TilePanel& panel) { return CeilDiv(panel.channels, kTileChannels); }

}  // namespace

PackedTiles::PackedTiles(const FilterSource& source, const TileConvKernels& kernels, ThreadPool& pool)
    : channels_per_step_(kernels.channels_per_step),
      taps_(source.kernel_h * (source.join_columns ? 1 : source.kernel_w)),
      in_per_group_(source.in_channels / source.groups),
      out_per_group_(source.out_channels / source.groups) {
  const int64_t joined = source.join_columns ? source.kernel_w : 1;
  for (int64_t first = 0; first < source.out_channels; first += kPanelChannels) {
    const int64_t channels = std::min(kPanelChannels, source.out_channels - first);
    const int64_t first_group = first / out_per_group_, last_group = (first + channels - 1) / out_per_group_;
    const int64_t first_in = first_group * in_per_group_;
    const int64_t in = (last_group + 1 - first_group) * in_per_group_ * joined;
    steps_ = std::max(steps_, CeilDiv(in, channels_per_step_));
    first_in_.push_back(first_in);
    panels_.push_back({nullptr, nullptr, first_in * kElementBytes, first, static_cast<int>(channels)});
  }
  readable_channels_ = first_in_.back() + steps_ * channels_per_step_;
  const auto count = static_cast<int64_t>(panels_.size());
  panel_bytes_ = taps_ * steps_ * (kPanelChannels / kTileChannels) * kTileBytes;
  weights_ = AlignedBuffer(static_cast<size_t>((count - 1) * panel_bytes_ +
                                               taps_ * steps_ * TilesOf(panels_.back()) * kTileBytes));
  bias_ = AlignedBuffer(static_cast<size_t>(count * kPanelChannels) * sizeof(float));
  for (int64_t i = 0; i < count; ++i) {
    panels_[i].weights = weights_.data() + i * panel_bytes_;
    panels_[i].bias = bias_.As<float>() + i * kPanelChannels;
  }
  pool.ParallelFor(count, [&](int64_t i, int) { Pack(source, i); });
}

void PackedTiles::Pack(const FilterSource& source, int64_t index) {
  const TilePanel& panel = panels_[index];
  const int64_t kernel = int64_t{source.kernel_h} * source.kernel_w, tiles = TilesOf(panel);
  char* weights = weights_.data() + index * panel_bytes_;
  float* bias = bias_.As<float>() + index * kPanelChannels;
  std::memset(weights, 0, taps_ * steps_ * tiles * kTileBytes);
  std::fill_n(bias, kPanelChannels, 0.0f);
  for (int64_t lane = 0; lane < panel.channels; ++lane) {
    const int64_t out = panel.first_out + lane;
    const int64_t before = out / out_per_group_ * in_per_group_ - first_in_[index];
    const double scale = source.filters.Scale(static_cast<int>(out));
    const float* filter = source.filters.values.data + out * in_per_group_ * kernel;
    for (int64_t c = 0; c < in_per_group_; ++c) {
      for (int64_t k = 0; k < kernel; ++k) {
        const int64_t tap = source.join_columns ? k / source.kernel_w : k;
        const int64_t column = source.join_columns ? k % source.kernel_w : 0;
        const int64_t channel = before + column * source.in_channels + c;
        const int64_t step = channel / channels_per_step_, row = channel % channels_per_step_ / kWordChannels;
        char* tile = weights + ((tap * steps_ + step) * tiles + lane / kTileChannels) * kTileBytes;
        char* word = tile + (row * kTileChannels + lane % kTileChannels) * kWordBytes;
        const uint16_t value = ToBfloat16(static_cast<float>(filter[c * kernel + k] * scale));
        std::memcpy(word + channel % kWordChannels * kElementBytes, &value, sizeof value);
      }
    }
    if (!source.bias.empty()) bias[lane] = source.bias[out];
  }
}

}  // namespace resnet_native::cpu
