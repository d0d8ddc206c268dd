#pragma once

#include "native/backends/cuda/gpu/kernels/grid.h"

namespace resnet_native::cuda {

// The paper's option A: every stride-th pixel, with channels of zeros appended. kWidth channels a thread;
// both numbers of channels are multiples of it.
template <class T, int kWidth>
struct ZeroPadPixels {
  const T* x;
  T* y;
  T zero;
  int64_t h, w;
  int stride;
  uint32_t channel_packs;  // of x
  Divisor out_channel_packs, out_w, out_h;
  uint32_t threads;  // n * out_h * out_w * out_channel_packs

  HOST_DEVICE void operator()(uint32_t thread) const {
    uint32_t rest = thread;
    const uint32_t pack = out_channel_packs.Split(rest);
    const int64_t ow = out_w.Split(rest), oh = out_h.Split(rest), image = rest;
    Pack<T, kWidth> out;
    if (pack < channel_packs) {
      const int64_t pixel = (image * h + oh * stride) * w + ow * stride;
      out = Load<kWidth>(x + (pixel * channel_packs + pack) * kWidth);
    } else {
      UNROLL
      for (int i = 0; i < kWidth; ++i) out[i] = zero;
    }
    Store(y + int64_t{thread} * kWidth, out);
  }
};

// A border of zeros around each image, kWidth channels a thread.
template <class T, int kWidth>
struct AddBorder {
  const T* x;
  T* y;
  T zero;
  int h, w, border_h, border_w;
  Divisor channel_packs, out_w, out_h;
  uint32_t threads;  // n * out_h * out_w * channel_packs

  HOST_DEVICE void operator()(uint32_t thread) const {
    uint32_t rest = thread;
    const uint32_t pack = channel_packs.Split(rest);
    const int in_w = static_cast<int>(out_w.Split(rest)) - border_w;
    const int in_h = static_cast<int>(out_h.Split(rest)) - border_h;
    Pack<T, kWidth> out;
    if (in_h >= 0 && in_h < h && in_w >= 0 && in_w < w) {
      const int64_t pixel = (int64_t{rest} * h + in_h) * w + in_w;
      out = Load<kWidth>(x + (pixel * channel_packs.divisor + pack) * kWidth);
    } else {
      UNROLL
      for (int i = 0; i < kWidth; ++i) out[i] = zero;
    }
    Store(y + int64_t{thread} * kWidth, out);
  }
};

// NHWC to NCHW through a tile in shared memory, so that reads and writes are both of neighbours. Rows of the
// tile are one longer than they need be, which spreads a column over the banks.
template <class From, class To>
struct Transpose {
  static constexpr int kTile = 32, kRows = 8, kThreads = kTile * kRows;
  struct Shared {
    float tile[kTile][kTile + 1];  // [pixel][channel]
  };

  const From* x;
  To* y;
  const float *scale, *shift;  // null: values are taken as they are; else fma(x, scale[0], shift[0])
  int64_t pixels;
  int channels;
  Divisor channel_tiles, pixel_tiles;
  uint32_t blocks;  // n * pixel_tiles * channel_tiles

  HOST_DEVICE static int phases() { return 2; }

  HOST_DEVICE void operator()(int phase, uint32_t block, int thread, Shared& shared) const {
    uint32_t rest = block;
    const int64_t channel = int64_t{channel_tiles.Split(rest)} * kTile;
    const int64_t pixel = int64_t{pixel_tiles.Split(rest)} * kTile, image = rest;
    const int column = thread % kTile;
    for (int row = thread / kTile; row < kTile; row += kRows) {
      if (phase == 0 && pixel + row < pixels && channel + column < channels) {
        shared.tile[row][column] = ToFloat(x[(image * pixels + pixel + row) * channels + channel + column]);
      }
      if (phase == 1 && channel + row < channels && pixel + column < pixels) {
        const float value = shared.tile[column][row];
        const float result = scale ? fmaf(value, scale[0], shift[0]) : value;
        y[(image * channels + channel + row) * pixels + pixel + column] = FromFloat<To>(result);
      }
    }
  }
};

}  // namespace resnet_native::cuda
