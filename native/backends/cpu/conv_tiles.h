#pragma once

#include <algorithm>
#include <cstdint>

#include "native/backends/cpu/arithmetic.h"
#include "native/backends/cpu/packed_filters.h"
#include "native/backends/cpu/tensor_view.h"

namespace resnet_native::cpu {

// With dynamic distribution over the threads, the last item of a layer costs 1 / kItemsPerThread of it at
// most.
constexpr int64_t kItemsPerThread = 8;

// Output pixels cut into tiles of nearly equal size, none larger than the kernels take: no tile is left with
// one pixel.
struct Tiling {
  int64_t tiles = 0;

  Tiling(int64_t pixels, int64_t max_pixels)
      : tiles(CeilDiv(pixels, max_pixels)), size_(pixels / tiles), longer_(pixels % tiles) {}
  int64_t Begin(int64_t tile) const { return tile * size_ + std::min(tile, longer_); }

 private:
  int64_t size_, longer_;  // the first `longer_` tiles have one pixel more
};

// The weights that come next are fetched while the tiles of a panel are computed, evenly.
class WeightPrefetch {
 public:
  // `steps`: how often the kernel fetches in a tile.
  WeightPrefetch(const char* weights, int64_t bytes, int64_t steps, int64_t tiles)
      : weights_(weights),
        bytes_(bytes),
        lines_(steps == 0 ? 0 : CeilDiv(bytes, kCacheLine * steps * tiles)),
        bytes_per_tile_(lines_ * steps * kCacheLine) {}

  void ForTile(int64_t index, ConvTile& tile) const {
    const int64_t begin = index * bytes_per_tile_;
    tile.prefetch = weights_ + begin;
    tile.prefetch_lines = begin < bytes_ ? static_cast<int>(lines_) : 0;
  }

 private:
  const char* const weights_;
  const int64_t bytes_, lines_, bytes_per_tile_;
};

// How a layer is cut into items of work: blocks of tiles × ranges of panels. Only speed depends on it: every
// output is one chain of sums inside one item.
struct Partition {
  int64_t tile_blocks = 1, panel_blocks = 1;
  int64_t tiles = 0, panels = 0;

  int64_t items() const { return tile_blocks * panel_blocks; }
  int64_t FirstTile(int64_t block) const { return tiles * block / tile_blocks; }
  int64_t FirstPanel(int64_t block) const { return panels * block / panel_blocks; }
  int64_t MaxTilesPerBlock() const { return CeilDiv(tiles, tile_blocks); }
};

// Blocks of pixels whose input stays in the second-level cache while all panels pass over it, and enough
// items to keep the threads equally busy.
Partition ChoosePartition(const PackedFilters& filters, const Tiling& tiling, int threads);

// Where results go: the item's pixel 0 is this one of y and of the residual, whose data is null for none.
struct ConvOutput {
  TensorView y, residual;
  int64_t first_pixel = 0;
  bool relu = false;
};

// A range of tiles × a range of panels.
struct ConvItem {
  int64_t first_tile, last_tile;    // [first, last)
  int64_t first_panel, last_panel;  // [first, last)
};

// Computes one item. `pixels` holds, for each tile in turn, [taps][pixels of the tile] pointers to the input.
void RunConvItem(const PackedFilters& filters, const Tiling& tiling, const ConvItem& item,
                 const char* const* pixels, const ConvOutput& output);

}  // namespace resnet_native::cpu
