#include <immintrin.h>

#include "native/backends/cpu/kernels/kernels.h"

// Convolution with tile units (AMX): blocks of up to 2 × 2 tiles, each of 16 pixels × 16 channels. A data
// type brings two classes.
//
//   Dot       Multiply<kSum, kPixels, kWeights>() is one instruction: tile kSum += tile kPixels × tile
//             kWeights. A row of kPixels is 64 bytes of a pixel's channels; a row of kWeights is one word of
//             four bytes of these for each of 16 output channels; sums have four bytes.
//   Epilogue  is made from a TileConv and one of its panels; Store(sums, pixel) turns the 32 sums of a pixel
//             into results.
//
// The vector units finish a block while the tiles of the next are multiplied: the two do not depend on each
// other, so that the core runs them side by side.

namespace resnet_native::cpu {
namespace {

constexpr int64_t kTileRows = 16, kTileRowBytes = 64, kTileBytes = kTileRows * kTileRowBytes;
constexpr int64_t kSumStride = 2 * kTileRowBytes;            // from one pixel's sums to the next's
constexpr int64_t kBlockBytes = 2 * kTileRows * kSumStride;  // of a block's sums
// Which tile registers hold what.
constexpr int kFirstSum = 0, kFirstPixels = 4, kFirstWeights = 6;

// What ldtilecfg reads.
struct alignas(64) TileConfig {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};

inline __attribute__((always_inline)) void ConfigureTiles(int pixel_rows) {
  TileConfig config{};
  config.palette = 1;
  for (int tile = 0; tile < 8; ++tile) {
    config.row_bytes[tile] = kTileRowBytes;
    config.rows[tile] = static_cast<uint8_t>(tile < kFirstWeights ? pixel_rows : kTileRows);
  }
  asm volatile("ldtilecfg %0" : : "m"(config));
}

template <int kTile>
inline __attribute__((always_inline)) void LoadTile(const char* p, int64_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(p), "r"(stride), "i"(kTile) : "memory");
}
template <int kTile>
inline __attribute__((always_inline)) void StoreTile(char* p, int64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(p), "r"(stride), "i"(kTile) : "memory");
}
template <int kTile>
inline __attribute__((always_inline)) void ZeroTile() {
  asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
}

// Fetches the weights that come next into the second-level cache, a few lines with every step.
struct WeightPrefetch {
  const char* next;
  const char* end;
  int64_t bytes_per_step;

  inline __attribute__((always_inline)) void Step() {
    if (next >= end) return;
    for (int64_t i = 0; i < bytes_per_step; i += kTileRowBytes) __builtin_prefetch(next + i, 0, 2);
    next += bytes_per_step;
  }
};

// The sums of kPixelTiles × kChannelTiles tiles, over all taps and channels.
template <class Dot, int kPixelTiles, int kChannelTiles>
inline __attribute__((always_inline)) void MultiplyBlock(const TileConv& conv, const char* x0, const char* x1,
                                                         const char* weights, WeightPrefetch& prefetch,
                                                         char* sums) {
  ZeroTile<0>();
  if constexpr (kChannelTiles > 1) ZeroTile<1>();
  if constexpr (kPixelTiles > 1) ZeroTile<2>();
  if constexpr (kPixelTiles > 1 && kChannelTiles > 1) ZeroTile<3>();
  for (int64_t tap = 0; tap < conv.taps; ++tap) {
    const char* a0 = x0 + conv.tap_offsets[tap];
    const char* a1 = x1 + conv.tap_offsets[tap];
    for (int64_t i = 0; i < conv.steps; ++i) {
      LoadTile<kFirstPixels>(a0, conv.x_stride);
      LoadTile<kFirstWeights>(weights, kTileRowBytes);
      Dot::template Multiply<0, kFirstPixels, kFirstWeights>();
      if constexpr (kChannelTiles > 1) {
        LoadTile<kFirstWeights + 1>(weights + kTileBytes, kTileRowBytes);
        Dot::template Multiply<1, kFirstPixels, kFirstWeights + 1>();
      }
      if constexpr (kPixelTiles > 1) {
        LoadTile<kFirstPixels + 1>(a1, conv.x_stride);
        Dot::template Multiply<2, kFirstPixels + 1, kFirstWeights>();
      }
      if constexpr (kPixelTiles > 1 && kChannelTiles > 1) {
        Dot::template Multiply<3, kFirstPixels + 1, kFirstWeights + 1>();
      }
      prefetch.Step();
      a0 += kTileRowBytes;
      a1 += kTileRowBytes;
      weights += kChannelTiles * kTileBytes;
    }
  }
  StoreTile<0>(sums, kSumStride);
  if constexpr (kChannelTiles > 1) StoreTile<1>(sums + kTileRowBytes, kSumStride);
  if constexpr (kPixelTiles > 1) StoreTile<2>(sums + kTileRows * kSumStride, kSumStride);
  if constexpr (kPixelTiles > 1 && kChannelTiles > 1) {
    StoreTile<3>(sums + kTileRows * kSumStride + kTileRowBytes, kSumStride);
  }
}

// Pixels as tiles of `rows`; the last one begins early enough to be whole, and repeats some of its neighbour.
struct PixelTiles {
  int64_t pixels, count, rows;

  inline __attribute__((always_inline)) explicit PixelTiles(int64_t all)
      : pixels(all), count((all + kTileRows - 1) / kTileRows), rows((all + count - 1) / count) {}
  inline __attribute__((always_inline)) int64_t Begin(int64_t tile) const {
    const int64_t begin = tile * rows, last = pixels - rows;
    return begin < last ? begin : last;
  }
};

template <class Epilogue>
inline __attribute__((always_inline)) void StorePixels(const TileConv& conv, const Epilogue& epilogue,
                                                       int64_t first, int64_t rows, const char* sums) {
  int64_t row = first / conv.row_pitch, column = first % conv.row_pitch;
  for (int64_t i = 0; i < rows; ++i, sums += kSumStride) {
    if (column < conv.row_width) epilogue.Store(sums, row * conv.row_width + column);
    if (++column == conv.row_pitch) {
      column = 0;
      ++row;
    }
  }
}

template <class Epilogue>
inline __attribute__((always_inline)) void StoreBlock(const TileConv& conv, const PixelTiles& tiles,
                                                      int64_t tile, const Epilogue& epilogue,
                                                      const char* sums) {
  StorePixels(conv, epilogue, tiles.Begin(tile), tiles.rows, sums);
  if (tile + 1 == tiles.count) return;
  StorePixels(conv, epilogue, tiles.Begin(tile + 1), tiles.rows, sums + kTileRows * kSumStride);
}

template <class Dot>
inline __attribute__((always_inline)) void MultiplyBlockOf(const TileConv& conv, const TilePanel& panel,
                                                           const PixelTiles& tiles, int64_t tile,
                                                           WeightPrefetch& prefetch, char* sums) {
  const char* x = conv.x + panel.input_offset;
  const char* x0 = x + tiles.Begin(tile) * conv.x_stride;
  const bool pair = tile + 1 < tiles.count, wide = panel.channels > kTileRows;
  const char* x1 = pair ? x + tiles.Begin(tile + 1) * conv.x_stride : x0;
  if (pair && wide) {
    MultiplyBlock<Dot, 2, 2>(conv, x0, x1, panel.weights, prefetch, sums);
  } else if (pair) {
    MultiplyBlock<Dot, 2, 1>(conv, x0, x1, panel.weights, prefetch, sums);
  } else if (wide) {
    MultiplyBlock<Dot, 1, 2>(conv, x0, x1, panel.weights, prefetch, sums);
  } else {
    MultiplyBlock<Dot, 1, 1>(conv, x0, x1, panel.weights, prefetch, sums);
  }
}

template <class Dot, class Epilogue>
void RunTileConv(const TileConv& conv) {
  const PixelTiles tiles(conv.pixels);
  ConfigureTiles(static_cast<int>(tiles.rows));
  alignas(64) char sums[2][kBlockBytes];
  const int64_t blocks = (tiles.count + 1) / 2, steps = blocks * conv.taps * conv.steps;
  int64_t done = 0;
  for (int64_t p = 0; p < conv.panels; ++p) {
    const TilePanel& panel = conv.panel[p];
    const TilePanel& next = conv.panel[p + 1 < conv.panels ? p + 1 : 0];
    const int64_t bytes = conv.taps * conv.steps * (next.channels > kTileRows ? 2 : 1) * kTileBytes;
    const int64_t per_step = (bytes / steps + kTileRowBytes - 1) / kTileRowBytes * kTileRowBytes;
    WeightPrefetch prefetch{next.weights, next.weights + bytes, per_step};
    for (int64_t block = 0; block < blocks; ++block, ++done) {
      MultiplyBlockOf<Dot>(conv, panel, tiles, 2 * block, prefetch, sums[done & 1]);
      if (done == 0) continue;
      const bool same_panel = block > 0;
      StoreBlock(conv, tiles, 2 * (same_panel ? block - 1 : blocks - 1),
                 Epilogue(conv, conv.panel[same_panel ? p : p - 1]), sums[(done - 1) & 1]);
    }
  }
  StoreBlock(conv, tiles, 2 * (blocks - 1), Epilogue(conv, conv.panel[conv.panels - 1]),
             sums[(done - 1) & 1]);
  asm volatile("tilerelease");
}

}  // namespace
}  // namespace resnet_native::cpu
