#pragma once

#include "native/backends/cuda/gpu/kernels/grid.h"

// The run's input as an activation: normalised, padded with channels of zeros, NHWC.

namespace resnet_native::cuda {

// What becomes of one value of a channel.
template <class To>
struct Conversion {
  const float *scale, *shift;  // null: values are taken as they are
  const int8_t* table;         // of bytes only

  template <class From>
  HOST_DEVICE To Of(From x, int channel) const {
    const float value = ToFloat(x);
    return FromFloat<To>(scale ? value * scale[channel] + shift[channel] : value);
  }
};
template <>
struct Conversion<Byte> {
  const float *scale, *shift;
  const int8_t* table;  // [channel][256]

  HOST_DEVICE Byte Of(uint8_t x, int channel) const { return {table[channel * 256 + x]}; }
  HOST_DEVICE Byte Of(float x, int) const { return FromFloat<Byte>(fmaf(x, scale[0], shift[0])); }
};

// RGB bytes, four pixels a thread: 12 bytes are three aligned words, and each pixel is stored by one or two
// instructions.
template <class To, int kPadded>
struct LoadRgb {
  static constexpr int kPixels = 4, kChannels = 3;
  static constexpr int kWidth = kPadded < kPackWidth<To> ? kPadded : kPackWidth<To>;

  const uint8_t* x;
  To* y;
  Conversion<To> conversion;
  int64_t pixels;
  uint32_t threads;

  HOST_DEVICE void operator()(uint32_t thread) const {
    const int64_t first = int64_t{thread} * kPixels;
    uint8_t bytes[kPixels * kChannels] = {};
    const int count = pixels - first < kPixels ? static_cast<int>(pixels - first) : kPixels;
    if (count == kPixels) {
      UNROLL
      for (int word = 0; word < kChannels; ++word) {
        const Pack<uint8_t, 4> pack = Load<4>(x + first * kChannels + word * 4);
        UNROLL
        for (int i = 0; i < 4; ++i) bytes[word * 4 + i] = pack[i];
      }
    } else {
      UNROLL
      for (int i = 0; i < kPixels * kChannels; ++i) {
        if (i < count * kChannels) bytes[i] = x[first * kChannels + i];
      }
    }
    UNROLL
    for (int pixel = 0; pixel < kPixels; ++pixel) {
      if (pixel < count) StorePixel(&bytes[pixel * kChannels], y + (first + pixel) * kPadded);
    }
  }

  HOST_DEVICE void StorePixel(const uint8_t* bytes, To* to) const {
    UNROLL
    for (int begin = 0; begin < kPadded; begin += kWidth) {
      Pack<To, kWidth> pack;
      UNROLL
      for (int i = 0; i < kWidth; ++i) {
        const int c = begin + i;
        pack[i] = c < kChannels ? conversion.Of(bytes[c < kChannels ? c : 0], c) : FromFloat<To>(0.0f);
      }
      Store(to + begin, pack);
    }
  }
};

// Any input: one pixel a thread.
template <class From, class To>
struct LoadPixels {
  const From* x;
  To* y;
  Conversion<To> conversion;
  bool nchw;
  int channels, padded_channels;
  Divisor image_pixels;  // h * w
  uint32_t threads;      // n * h * w

  HOST_DEVICE void operator()(uint32_t thread) const {
    uint32_t image = thread;
    const uint32_t pixel = image_pixels.Split(image);
    To* to = y + int64_t{thread} * padded_channels;
    NO_UNROLL
    for (int c = 0; c < padded_channels; ++c) {
      const int64_t from = nchw ? (int64_t{image} * channels + c) * image_pixels.divisor + pixel
                                : int64_t{thread} * channels + c;
      to[c] = c < channels ? conversion.Of(x[from], c) : FromFloat<To>(0.0f);
    }
  }
};

}  // namespace resnet_native::cuda
