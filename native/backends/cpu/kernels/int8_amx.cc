#include "native/backends/cpu/kernels/int8_finish_avx512-inl.h"

namespace resnet_native::cpu {
namespace {

constexpr int kRows = 16;          // pixels of a tile
constexpr int64_t kRowBytes = 64;  // of input, weights and sums
constexpr int64_t kStepsOfTile = 16;

struct alignas(64) TileConfig {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};

// All eight registers are whole tiles.
void EnterTiles() {
  TileConfig config{};
  config.palette = 1;
  for (int i = 0; i < 8; ++i) {
    config.row_bytes[i] = kRowBytes;
    config.rows[i] = kRows;
  }
  asm volatile("" : : "m"(config));  // gcc 12 takes only the first bytes of it for what is read
  _tile_loadconfig(&config);
}

void LeaveTiles() { _tile_release(); }

// Two tiles of pixels × two blocks of channels, so that each load is multiplied twice.
template <bool kTwoPixelTiles, bool kTwoBlocks>
inline __attribute__((always_inline)) void SumsOfTiles(const Int8Tile& tile, int first_block) {
  const int64_t block = tile.steps * kRowBytes;
  const uint8_t* x = tile.x;
  const int64_t second = kRows * tile.x_stride;
  const int8_t* w = tile.weights + first_block * block;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t step = 0; step < tile.steps; step += kStepsOfTile) {
    _tile_loadd(6, w, kRowBytes);
    if constexpr (kTwoBlocks) _tile_loadd(7, w + block, kRowBytes);
    _tile_loadd(4, x, tile.x_stride);
    _tile_dpbusd(0, 4, 6);
    if constexpr (kTwoBlocks) _tile_dpbusd(1, 4, 7);
    if constexpr (kTwoPixelTiles) {
      _tile_loadd(5, x + second, tile.x_stride);
      _tile_dpbusd(2, 5, 6);
      if constexpr (kTwoBlocks) _tile_dpbusd(3, 5, 7);
    }
    x += kRowBytes;
    w += kStepsOfTile * kRowBytes;
  }
  constexpr int64_t kSumsStride = kInt8Panel * sizeof(int32_t);
  int32_t* sums = tile.sums + first_block * kInt8Block;
  _tile_stored(0, sums, kSumsStride);
  if constexpr (kTwoBlocks) _tile_stored(1, sums + kInt8Block, kSumsStride);
  if constexpr (kTwoPixelTiles) {
    _tile_stored(2, sums + kRows * kInt8Panel, kSumsStride);
    if constexpr (kTwoBlocks) _tile_stored(3, sums + kRows * kInt8Panel + kInt8Block, kSumsStride);
  }
}

template <bool kTwoPixelTiles>
void SumsOfBlocks(const Int8Tile& tile) {
  int b = 0;
  for (; b + 2 <= tile.blocks; b += 2) SumsOfTiles<kTwoPixelTiles, true>(tile, b);
  if (b < tile.blocks) SumsOfTiles<kTwoPixelTiles, false>(tile, b);
}

void AmxSums(const Int8Tile& tile) {
  if (tile.pixels > kRows) {
    SumsOfBlocks<true>(tile);
  } else {
    SumsOfBlocks<false>(tile);
  }
}

constexpr Int8Kernels MakeAmx() {
  Int8Kernels kernels = MakeInt8KernelsAvx512("amx", 2 * kRows, AmxSums);
  kernels.pixel_multiple = kRows;
  kernels.step_multiple = kStepsOfTile;
  kernels.enter = EnterTiles;
  kernels.leave = LeaveTiles;
  return kernels;
}

}  // namespace

constexpr Int8Kernels kInt8Amx = MakeAmx();

}  // namespace resnet_native::cpu
