#pragma once

#include "native/backends/cuda/gpu/kernels/grid.h"

// What follows a sum, and everything else that is done to each element alone.

namespace resnet_native::cuda {

// relu?(fma(residual?, residual_scale, fma(x, scale[c]?, shift[c]?))), in float32.
template <class Residual>
struct Tail {
  const Residual* residual;  // null: none
  float residual_scale;
  const float* scale;  // null: 1
  const float* shift;  // null: 0
  bool relu;

  HOST_DEVICE float Of(float x, float scale_of, float shift_of, Residual added) const {
    float y = fmaf(x, scale_of, shift_of);
    if (residual) y = fmaf(ToFloat(added), residual_scale, y);
    return relu ? Relu(y) : y;
  }
  // Of one element, with all its parameters.
  HOST_DEVICE float At(float x, int channel, int64_t element) const {
    return Of(x, scale ? scale[channel] : 1.0f, shift ? shift[channel] : 0.0f,
              residual ? residual[element] : Residual());
  }
};

// The tail of every element. y may be x, or the residual: a thread reads what it writes first.
template <class From, class Residual, class To>
struct Epilogue {
  // Elements a thread: of the widest type, 16 bytes.
  static constexpr int kWidth = 16 / (sizeof(From) > sizeof(To) ? sizeof(From) : sizeof(To));
  static_assert(sizeof(Residual) * kWidth <= 16);

  const From* x;
  To* y;
  Tail<Residual> tail;
  int64_t elements;
  int channels;  // 1: one scale and shift for all
  // channels / kWidth, where that leaves no rest: a pack then is in one pixel, at an aligned channel.
  Divisor channel_packs;
  uint32_t threads;

  HOST_DEVICE void operator()(uint32_t thread) const {
    const int64_t first = int64_t{thread} * kWidth;
    if (first + kWidth > elements) {
      NO_UNROLL
      for (int64_t i = first; i < elements; ++i) {
        y[i] = FromFloat<To>(tail.At(ToFloat(x[i]), static_cast<int>(i % channels), i));
      }
      return;
    }
    float scales[kWidth], shifts[kWidth];
    LoadParameters(thread, first, scales, shifts);
    const Pack<From, kWidth> in = Load<kWidth>(x + first);
    Pack<Residual, kWidth> added = {};
    if (tail.residual) added = Load<kWidth>(tail.residual + first);
    Pack<To, kWidth> out;
    UNROLL
    for (int i = 0; i < kWidth; ++i) {
      out[i] = FromFloat<To>(tail.Of(ToFloat(in[i]), scales[i], shifts[i], added[i]));
    }
    Store(y + first, out);
  }

 private:
  HOST_DEVICE void LoadParameters(uint32_t thread, int64_t first, float* scales, float* shifts) const {
    const float scale = channels == 1 && tail.scale ? tail.scale[0] : 1.0f;
    const float shift = channels == 1 && tail.shift ? tail.shift[0] : 0.0f;
    UNROLL
    for (int i = 0; i < kWidth; ++i) {
      scales[i] = scale;
      shifts[i] = shift;
    }
    if (channels == 1 || (!tail.scale && !tail.shift)) return;
    if (channels % kWidth == 0) {
      uint32_t rest = thread;
      const uint32_t c = channel_packs.Split(rest) * kWidth;
      if (tail.scale) LoadAligned(tail.scale + c, scales);
      if (tail.shift) LoadAligned(tail.shift + c, shifts);
      return;
    }
    auto c = static_cast<int>(first % channels);
    UNROLL
    for (int i = 0; i < kWidth; ++i) {
      if (tail.scale) scales[i] = tail.scale[c];
      if (tail.shift) shifts[i] = tail.shift[c];
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

}  // namespace resnet_native::cuda
