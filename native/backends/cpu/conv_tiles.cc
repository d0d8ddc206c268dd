#include "native/backends/cpu/conv_tiles.h"

#include <algorithm>

#include "native/backends/cpu/arithmetic.h"
#include "native/backends/cpu/cpu_info.h"

namespace resnet_native::cpu {
namespace {

constexpr int64_t kMaxPixelsPerBlock = 448;

// What one output pixel reads of the input.
int64_t LargestPartBytes(const PackedFilters& filters) {
  int64_t largest = 1;
  for (const SumPart& part : filters.parts()) largest = std::max(largest, part.taps * part.channels);
  return largest * ElementBytes(filters.dtype());
}

// One panel over all tiles of the item, for one part of the sum. The part's weights are read again and again
// from the second-level cache; meanwhile those of the next panel are fetched.
void RunPart(const PackedFilters& filters, const Tiling& tiling, const ConvItem& item,
             const char* const* pixels, const ConvOutput& output, const Panel& panel, const SumPart& part,
             const char* next_weights) {
  const bool first = &part == &filters.parts().front(), last = &part == &filters.parts().back();
  const int64_t origin = tiling.Begin(item.first_tile);
  ConvTile tile{};
  tile.first_channel = panel.first_in + part.first_channel;
  tile.taps = part.taps;
  tile.channels = part.channels;
  tile.weights = filters.Weights(panel, part);
  tile.bias = first ? filters.Bias(panel) : nullptr;
  tile.y_stride = output.y.shape.c;
  tile.last_lanes = panel.last_lanes;
  tile.relu = last && output.relu;
  tile.float_y = output.y.dtype == DType::kFloat32;
  const WeightPrefetch prefetch(next_weights, filters.WeightBytes(panel, part),
                                part.taps * (part.channels / filters.depth() / 4),
                                item.last_tile - item.first_tile);
  for (int64_t t = item.first_tile; t < item.last_tile; ++t) {
    const int64_t begin = tiling.Begin(t), count = tiling.Begin(t + 1) - begin;
    const int64_t offset = (output.first_pixel + begin) * output.y.shape.c + panel.first_out;
    tile.pixels = pixels + (begin - origin) * filters.taps() + part.first_tap * count;
    tile.y = output.y.At(offset);
    tile.residual = last && output.residual.data ? output.residual.At(offset) : nullptr;
    prefetch.ForTile(t - item.first_tile, tile);
    filters.KernelFor(panel, count)(tile);
  }
}

}  // namespace

Partition ChoosePartition(const PackedFilters& filters, const Tiling& tiling, int threads) {
  const auto panels = static_cast<int64_t>(filters.panels().size());
  const auto budget = static_cast<int64_t>(Caches().l2 / 2);
  const int64_t pixels_per_block = std::min(budget / LargestPartBytes(filters), kMaxPixelsPerBlock);
  const int64_t tiles_per_block = std::max<int64_t>(pixels_per_block / filters.max_pixels(), 1);
  Partition partition{CeilDiv(tiling.tiles, tiles_per_block), 1, tiling.tiles, panels};
  if (threads == 1) return partition;
  const int64_t wanted = kItemsPerThread * threads;
  partition.panel_blocks = std::clamp<int64_t>(CeilDiv(wanted, partition.tile_blocks), 1, panels);
  if (partition.items() < wanted) {
    partition.tile_blocks = std::min(tiling.tiles, CeilDiv(wanted, partition.panel_blocks));
  }
  return partition;
}

void RunConvItem(const PackedFilters& filters, const Tiling& tiling, const ConvItem& item,
                 const char* const* pixels, const ConvOutput& output) {
  const std::vector<SumPart>& parts = filters.parts();
  for (size_t i = 0; i < parts.size(); ++i) {
    // The weights of a panel are used by all pixels while they are near.
    for (int64_t p = item.first_panel; p < item.last_panel; ++p) {
      const Panel& panel = filters.panels()[p];
      const bool last_panel = p + 1 == item.last_panel;
      const Panel& next = filters.panels()[last_panel ? item.first_panel : p + 1];
      const SumPart& next_part = parts[last_panel && i + 1 < parts.size() ? i + 1 : i];
      RunPart(filters, tiling, item, pixels, output, panel, parts[i], filters.Weights(next, next_part));
    }
  }
}

}  // namespace resnet_native::cpu
