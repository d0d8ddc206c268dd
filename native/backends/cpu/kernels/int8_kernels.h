#pragma once

#include <cstdint>

#include "native/backends/cpu/kernels/kernels.h"

// The kernels of int8, under the same rules as those of kernels.h. Their arithmetic is written down in
// native/graph/quantization.h: every row gives the same bits.

namespace resnet_native::cpu {

// Output channels that are computed together: four vectors of 16.
inline constexpr int kInt8Panel = 64;
inline constexpr int kInt8Block = 16;

// The sums of up to max_pixels pixels × one panel.
struct Int8Tile {
  // Pixel i has `steps` × depth bytes at x + i * x_stride.
  const uint8_t* x;
  int64_t x_stride;
  int pixels;
  const int8_t* weights;  // [blocks][steps][16 channels][depth]
  int64_t steps;
  int blocks;                  // of 16 channels, 1 to 4
  const int32_t* weight_sums;  // [blocks × 16]: over each channel's weights
  int32_t* sums;  // [max_pixels][64], on a cache line's boundary; the last rows may hold anything
};

// What becomes of the sums of some pixels × one panel.
struct Int8Finish {
  const int32_t* sums;  // [pixels][64]
  int pixels;
  int channels;             // of the panel that are stored
  const float* multiplier;  // [64] on a cache line's boundary, as the sums
  const float* offset;
  const uint8_t* residual;  // null: none; lies as y
  float residual_multiplier;
  void* y;           // of the tile's first pixel and channel
  int64_t y_stride;  // elements from one pixel to the next, in y and residual
  bool to_bytes;     // y is bytes, else float
  bool relu;         // of floats
};

// y = a * multiplier + b * other + offset, b null for none: what additions and ReLUs of bytes are.
struct Int8Rescale {
  const uint8_t* a;
  const uint8_t* b;
  int64_t count;
  float multiplier, other, offset;
  void* y;
  bool to_bytes;
  bool relu;
};

struct Int8Kernels {
  const char* isa;
  int depth;  // neighbouring bytes of a pixel that one multiply-add takes: 4 or 8
  int max_pixels;
  void (*sums)(const Int8Tile& tile);
  void (*finish)(const Int8Finish& finish);

  void (*rescale)(const Int8Rescale& rescale);
  // `rows` rows of `bytes`, which lie `stride` apart, one behind the other.
  void (*copy_rows)(const uint8_t* from, int64_t stride, int rows, int64_t bytes, uint8_t* to);
  // bytes = rint(min(max(x * inverse + zero_point, 0), 255))
  void (*quantize)(const float* x, int64_t count, float inverse, float zero_point, uint8_t* y);
  void (*dequantize)(const uint8_t* x, int64_t count, float scale, int zero_point, float* y);
  // sums[c] += x[i][c] over `pixels` pixels that lie `stride` bytes apart.
  void (*sum_pixels)(const uint8_t* x, int64_t pixels, int64_t stride, int64_t channels, int32_t* sums);
  PoolKernels pool;  // the largest only, which is 0 of no pixels
};
extern const Int8Kernels kInt8Scalar;
extern const Int8Kernels kInt8Neon;
extern const Int8Kernels kInt8NeonDot;
extern const Int8Kernels kInt8NeonI8mm;
extern const Int8Kernels kInt8Avx2;
extern const Int8Kernels kInt8AvxVnni;
extern const Int8Kernels kInt8Avx512Vnni;

}  // namespace resnet_native::cpu
