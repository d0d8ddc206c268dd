#include <immintrin.h>

#include "native/backends/cpu/kernels/kernels.h"

// Convolution with tile units (AMX): blocks of up to 2 × 2 tiles, each of 16 pixels × 16 channels. A data
// type brings two classes.
//
//   Dot       Multiply<kSum, kPixels, kWeights>() is one instruction: tile kSum += tile kPixels × tile
//             kWeights, over kChannelsPerStep channels. A row of kPixels is 64 bytes of a pixel's channels; a
//             row of kWeights is one word of four bytes of these for each of 16 output channels; sums have
//             four bytes.
//   Epilogue  is made from a TileConv and one of its panels; Store(sums, pixel) turns the 32 sums of a pixel
//             into results.
//
// While a block's sums are computed, the vector units finish those of the block before it, a few pixels with
// every step.

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

// What the epilogues of all data types know of where results go, and how those that are floats get there.
class TileEpilogue {
 protected:
  inline __attribute__((always_inline)) TileEpilogue(const TileConv& conv, const TilePanel& panel)
      : y_(conv.y),
        residual_(conv.residual),
        y_stride_(conv.y_stride),
        first_out_(panel.first_out),
        float_y_(conv.float_y),
        relu_(conv.relu),
        bias_low_(_mm512_loadu_ps(panel.bias)),
        bias_high_(_mm512_loadu_ps(panel.bias + 16)),
        mask_(panel.channels == 32 ? ~0u : (1u << panel.channels) - 1) {}

  // Of the panel's first channel, in elements.
  inline __attribute__((always_inline)) int64_t OffsetOf(int64_t pixel) const {
    return pixel * y_stride_ + first_out_;
  }
  inline __attribute__((always_inline)) void StoreFloats(__m512 low, __m512 high, int64_t offset) const {
    float* y = static_cast<float*>(y_) + offset;
    _mm512_mask_storeu_ps(y, static_cast<__mmask16>(mask_), low);
    _mm512_mask_storeu_ps(y + 16, static_cast<__mmask16>(mask_ >> 16), high);
  }

  void* y_;
  const void* residual_;
  int64_t y_stride_, first_out_;
  bool float_y_, relu_;
  __m512 bias_low_, bias_high_;
  __mmask32 mask_;  // of the panel's channels
};

// Finishes the sums of one or two tiles of pixels, pixel by pixel.
template <class Epilogue>
class Finisher {
 public:
  inline __attribute__((always_inline)) Finisher(const TileConv& conv, const TilePanel& panel)
      : epilogue_(conv, panel), row_pitch_(conv.row_pitch), row_width_(conv.row_width) {}

  // The sums of tile `tile`, and of the next if there is one.
  inline __attribute__((always_inline)) void Begin(const PixelTiles& tiles, int64_t tile, const char* sums) {
    BeginTile(tiles.Begin(tile), tiles.rows, sums);
    second_tile_ = tile + 1 < tiles.count ? tiles.Begin(tile + 1) : -1;
    rows_ = tiles.rows;
    second_sums_ = sums + kTileRows * kSumStride;
  }

  inline __attribute__((always_inline)) void Pixels(int64_t count) {
    for (; count > 0; --count) {
      if (left_ == 0) {
        if (second_tile_ < 0) return;
        BeginTile(second_tile_, rows_, second_sums_);
        second_tile_ = -1;
      }
      if (column_ < row_width_) epilogue_.Store(sums_, stored_++);
      if (++column_ == row_pitch_) column_ = 0;
      sums_ += kSumStride;
      --left_;
    }
  }

 private:
  inline __attribute__((always_inline)) void BeginTile(int64_t first, int64_t rows, const char* sums) {
    column_ = first % row_pitch_;
    stored_ = first / row_pitch_ * row_width_ + (column_ < row_width_ ? column_ : row_width_);
    left_ = rows;
    sums_ = sums;
  }

  Epilogue epilogue_;
  int64_t row_pitch_, row_width_;
  const char* sums_ = nullptr;
  int64_t left_ = 0, column_ = 0, stored_ = 0;
  const char* second_sums_ = nullptr;
  int64_t second_tile_ = -1, rows_ = 0;
};

// What goes on beside the multiplications of a block.
template <class Epilogue>
struct Background {
  WeightPrefetch prefetch;
  Finisher<Epilogue> finisher;
  int64_t pixels_per_step;

  inline __attribute__((always_inline)) void Step() {
    prefetch.Step();
    finisher.Pixels(pixels_per_step);
  }
};

// The sums of kPixelTiles × kChannelTiles tiles, over all taps and channels.
template <class Dot, int kPixelTiles, int kChannelTiles, class Epilogue>
inline __attribute__((always_inline)) void MultiplyBlock(const TileConv& conv, const char* x0, const char* x1,
                                                         const char* weights,
                                                         Background<Epilogue>& background, char* sums) {
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
      background.Step();
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

template <class Dot, class Epilogue>
inline __attribute__((always_inline)) void MultiplyBlockOf(const TileConv& conv, const TilePanel& panel,
                                                           const PixelTiles& tiles, int64_t tile,
                                                           Background<Epilogue>& background, char* sums) {
  const char* x = conv.x + panel.input_offset;
  const char* x0 = x + tiles.Begin(tile) * conv.x_stride;
  const bool pair = tile + 1 < tiles.count, wide = panel.channels > kTileRows;
  const char* x1 = pair ? x + tiles.Begin(tile + 1) * conv.x_stride : x0;
  if (pair && wide) {
    MultiplyBlock<Dot, 2, 2>(conv, x0, x1, panel.weights, background, sums);
  } else if (pair) {
    MultiplyBlock<Dot, 2, 1>(conv, x0, x1, panel.weights, background, sums);
  } else if (wide) {
    MultiplyBlock<Dot, 1, 2>(conv, x0, x1, panel.weights, background, sums);
  } else {
    MultiplyBlock<Dot, 1, 1>(conv, x0, x1, panel.weights, background, sums);
  }
}

// Fetches the panel behind `p` in so many steps.
inline __attribute__((always_inline)) WeightPrefetch PrefetchBehind(const TileConv& conv, int64_t p,
                                                                    int64_t steps) {
  const TilePanel& next = p + 1 < conv.panels ? conv.panel[p + 1] : *conv.next;
  const int64_t bytes = conv.taps * conv.steps * (next.channels > kTileRows ? 2 : 1) * kTileBytes;
  const int64_t per_step = (bytes / steps + kTileRowBytes - 1) / kTileRowBytes * kTileRowBytes;
  return {next.weights, next.weights + bytes, per_step};
}

template <class Dot, class Epilogue>
void RunTileConv(const TileConv& conv) {
  const PixelTiles tiles(conv.pixels);
  ConfigureTiles(static_cast<int>(tiles.rows));
  alignas(64) char sums[2][kBlockBytes];
  const int64_t blocks = (tiles.count + 1) / 2, steps = conv.taps * conv.steps;
  const int64_t pixels_per_step = (2 * tiles.rows + steps - 1) / steps;
  Background<Epilogue> background{{}, {conv, conv.panel[0]}, pixels_per_step};
  int64_t p = 0, block = 0;
  for (int64_t i = 0; i < conv.panels * blocks; ++i) {
    // The first time that a panel is used, the next one is not in the caches yet.
    if (block == 0)
      background.prefetch = PrefetchBehind(conv, p, conv.panels_inside ? steps : blocks * steps);
    MultiplyBlockOf<Dot>(conv, conv.panel[p], tiles, 2 * block, background, sums[i & 1]);
    background.finisher = {conv, conv.panel[p]};
    background.finisher.Begin(tiles, 2 * block, sums[i & 1]);
    int64_t& inside = conv.panels_inside ? p : block;
    int64_t& outside = conv.panels_inside ? block : p;
    if (++inside == (conv.panels_inside ? conv.panels : blocks)) {
      inside = 0;
      ++outside;
    }
  }
  background.finisher.Pixels(2 * kTileRows);
  asm volatile("tilerelease");
}

// Multiplications and nothing else.
template <class Dot>
void MultiplyTiles(int64_t rounds, float* values) {
  ConfigureTiles(kTileRows);
  LoadTile<kFirstPixels>(reinterpret_cast<const char*>(values), 0);
  LoadTile<kFirstWeights>(reinterpret_cast<const char*>(values), 0);
  for (int64_t round = 0; round < rounds; ++round) {
    Dot::template Multiply<0, kFirstPixels, kFirstWeights>();
    Dot::template Multiply<1, kFirstPixels, kFirstWeights>();
    Dot::template Multiply<2, kFirstPixels, kFirstWeights>();
    Dot::template Multiply<3, kFirstPixels, kFirstWeights>();
  }
  asm volatile("tilerelease");
}

template <class Dot, class Epilogue>
constexpr TileConvKernels MakeTileConvKernels(const char* isa) {
  return {isa,
          Dot::kChannelsPerStep,
          RunTileConv<Dot, Epilogue>,
          {4 * 2 * kTileRows * kTileRows * Dot::kChannelsPerStep, MultiplyTiles<Dot>}};
}

}  // namespace
}  // namespace resnet_native::cpu
