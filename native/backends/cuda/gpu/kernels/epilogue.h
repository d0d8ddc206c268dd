#pragma once

#include "native/backends/cuda/gpu/kernels/grid.h"

// What follows a convolution where it could not do it itself, and everything else that is done to each
// element alone.

namespace resnet_native::cuda {

// y = relu?(x * scale[c]? + residual * residual_scale? + shift[c]?), in float32, rounded once. y may be x, or
// the residual: a thread reads what it writes first.
template <class From, class To>
struct Epilogue {
  // Elements a thread: of the wider type, 16 bytes.
  static constexpr int kWidth = kPackWidth<From> < kPackWidth<To> ? kPackWidth<From> : kPackWidth<To>;

  const From* x;
  const To* residual;  // null: none
  To* y;
  const float* scale;  // null: 1
  const float* shift;  // null: 0
  float residual_scale;
  bool relu;
  int64_t elements;
  int channels;
  // channels / kWidth, where that leaves no rest: a pack then is in one pixel, at an aligned channel.
  Divisor channel_packs;
  uint32_t threads;

  HOST_DEVICE void operator()(uint32_t thread) const {
    const int64_t first = int64_t{thread} * kWidth;
    if (first + kWidth > elements) {
      NO_UNROLL
      for (int64_t i = first; i < elements; ++i) {
        const float added = residual ? ToFloat(residual[i]) * residual_scale : 0.0f;
        const auto c = static_cast<int>(i % channels);
        y[i] = Finish(ToFloat(x[i]), added, scale ? scale[c] : 1.0f, shift ? shift[c] : 0.0f);
      }
      return;
    }
    float scales[kWidth], shifts[kWidth];
    LoadParameters(thread, first, scales, shifts);
    const Pack<From, kWidth> in = Load<kWidth>(x + first);
    Pack<To, kWidth> added;
    if (residual) added = Load<kWidth>(residual + first);
    Pack<To, kWidth> out;
    UNROLL
    for (int i = 0; i < kWidth; ++i) {
      out[i] =
          Finish(ToFloat(in[i]), residual ? ToFloat(added[i]) * residual_scale : 0.0f, scales[i], shifts[i]);
    }
    Store(y + first, out);
  }

 private:
  HOST_DEVICE To Finish(float value, float added, float scale_of, float shift_of) const {
    const float sum = value * scale_of + added + shift_of;
    return FromFloat<To>(relu ? Relu(sum) : sum);
  }

  HOST_DEVICE void LoadParameters(uint32_t thread, int64_t first, float* scales, float* shifts) const {
    UNROLL
    for (int i = 0; i < kWidth; ++i) {
      scales[i] = 1;
      shifts[i] = 0;
    }
    if (!scale && !shift) return;
    if (channels % kWidth == 0) {
      uint32_t rest = thread;
      const uint32_t c = channel_packs.Split(rest) * kWidth;
      if (scale) LoadAligned(scale + c, scales);
      if (shift) LoadAligned(shift + c, shifts);
      return;
    }
    auto c = static_cast<int>(first % channels);
    UNROLL
    for (int i = 0; i < kWidth; ++i) {
      if (scale) scales[i] = scale[c];
      if (shift) shifts[i] = shift[c];
      if (++c == channels) c = 0;
    }
  }

  HOST_DEVICE static void LoadAligned(const float* from, float* to) {
    constexpr int kFloats = kWidth < 4 ? kWidth : 4;
    UNROLL
    for (int begin = 0; begin < kWidth; begin += kFloats) {
      const Pack<float, kFloats> pack = Load<kFloats>(from + begin);
      UNROLL
      for (int i = 0; i < kFloats; ++i) to[begin + i] = pack[i];
    }
  }
};

// y = saturate(round(x / scale[0])), ties to even.
template <class From>
struct QuantizeElements {
  static constexpr int kWidth = kPackWidth<From>;

  const From* x;
  int8_t* y;
  const float* scale;
  int64_t elements;
  uint32_t threads;

  HOST_DEVICE void operator()(uint32_t thread) const {
    const int64_t first = int64_t{thread} * kWidth;
    const float step = scale[0];
    if (first + kWidth > elements) {
      NO_UNROLL
      for (int64_t i = first; i < elements; ++i) y[i] = FromFloat<int8_t>(ToFloat(x[i]) / step);
      return;
    }
    const Pack<From, kWidth> in = Load<kWidth>(x + first);
    Pack<int8_t, kWidth> out;
    UNROLL
    for (int i = 0; i < kWidth; ++i) out[i] = FromFloat<int8_t>(ToFloat(in[i]) / step);
    Store(y + first, out);
  }
};

}  // namespace resnet_native::cuda
