#pragma once

#include <algorithm>
#include <cstdint>

#include "native/backends/cpu/packed_filters.h"

namespace resnet_native::cpu {

// Output pixels cut into tiles of nearly equal size, none larger than the kernels take: no tile is left with
// one pixel.
struct Tiling {
  int64_t tiles = 0;

  Tiling(int64_t pixels, int64_t max_pixels)
      : tiles((pixels + max_pixels - 1) / max_pixels), size_(pixels / tiles), longer_(pixels % tiles) {}
  int64_t Begin(int64_t tile) const { return tile * size_ + std::min(tile, longer_); }

 private:
  int64_t size_, longer_;  // the first `longer_` tiles have one pixel more
};

// How a layer is cut into items of work: blocks of tiles × ranges of panels. Only speed depends on it: every
// output is one chain of sums inside one item.
struct Partition {
  int64_t tile_blocks = 1, panel_blocks = 1;
  int64_t tiles = 0, panels = 0;

  int64_t items() const { return tile_blocks * panel_blocks; }
  int64_t FirstTile(int64_t block) const { return tiles * block / tile_blocks; }
  int64_t FirstPanel(int64_t block) const { return panels * block / panel_blocks; }
  int64_t MaxTilesPerBlock() const { return (tiles + tile_blocks - 1) / tile_blocks; }
};

// Blocks of pixels whose input stays in the second-level cache while all panels pass over it, and enough
// items to keep the threads equally busy.
Partition ChoosePartition(const PackedFilters& filters, const Tiling& tiling, int threads);

// Where results go: pixel p, channel c at y[p * stride + c]; the residual, null for none, likewise.
struct ConvOutput {
  float* y = nullptr;
  const float* residual = nullptr;
  int64_t stride = 0;
  bool relu = false;
};

// A range of tiles × a range of panels.
struct ConvItem {
  int64_t first_tile, last_tile;    // [first, last)
  int64_t first_panel, last_panel;  // [first, last)
};

// Computes one item. `pixels` holds, for each tile in turn, [taps][pixels of the tile] pointers to the input.
void RunConvItem(const PackedFilters& filters, const Tiling& tiling, const ConvItem& item,
                 const float* const* pixels, const ConvOutput& output);

}  // namespace resnet_native::cpu
