#pragma once

#include "native/backends/cuda/gpu/kernels/grid.h"

namespace resnet_native::cuda {

// The sizes of a window that slides over NHWC pixels.
struct Sliding {
  int h, w;          // of x
  int out_h, out_w;  // of y
  int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
};

// NaN wins, as in torch.
HOST_DEVICE bool Beats(float x, float best) { return x > best || x != x; }

// One output pixel and kWidth channels a thread; channels is a multiple of kWidth.
template <class T, int kWidth>
struct MaxPoolPixels {
  const T* x;
  T* y;
  Sliding sliding;
  Divisor channel_packs, out_w, out_h;
  uint32_t threads;  // n * out_h * out_w * channel_packs

  HOST_DEVICE void operator()(uint32_t thread) const {
    uint32_t rest = thread;
    const uint32_t pack = channel_packs.Split(rest);
    const auto ow = static_cast<int>(out_w.Split(rest)), oh = static_cast<int>(out_h.Split(rest));
    const int64_t image = rest, channels = int64_t{channel_packs.divisor} * kWidth;
    const T* from = x + image * sliding.h * sliding.w * channels + pack * kWidth;

    float best[kWidth];
    UNROLL
    for (int i = 0; i < kWidth; ++i) best[i] = -INFINITY;
    for (int kh = 0; kh < sliding.kernel_h; ++kh) {
      const int h = oh * sliding.stride_h - sliding.pad_h + kh * sliding.dilation_h;
      if (h < 0 || h >= sliding.h) continue;
      for (int kw = 0; kw < sliding.kernel_w; ++kw) {
        const int w = ow * sliding.stride_w - sliding.pad_w + kw * sliding.dilation_w;
        if (w < 0 || w >= sliding.w) continue;
        const Pack<T, kWidth> in = Load<kWidth>(from + (int64_t{h} * sliding.w + w) * channels);
        UNROLL
        for (int i = 0; i < kWidth; ++i) {
          const float value = ToFloat(in[i]);
          if (Beats(value, best[i])) best[i] = value;
        }
      }
    }
    Pack<T, kWidth> out;
    UNROLL
    for (int i = 0; i < kWidth; ++i) out[i] = FromFloat<T>(best[i]);
    Store(y + int64_t{thread} * kWidth, out);
  }
};

// The mean over all pixels: the sum times a scale. A block sums kPacks * kWidth channels of one image: its
// threads are kPacks packs of channels wide and kLanes deep, and each adds up every kLanes-th pixel; then the
// lanes are added. `channels` is a multiple of kWidth.
template <class T, class To, int kWidth>
struct AveragePixels {
  using Sum = SumOf<T>;
  static constexpr int kPacks = 32, kLanes = 8, kThreads = kPacks * kLanes;
  static constexpr int kChannels = kPacks * kWidth;
  struct Shared {
    Sum sums[kLanes][kChannels];
  };

  const T* x;
  To* y;
  float scale;         // of the sum
  const float* shift;  // null: 0
  int channels, pixels;
  Divisor channel_blocks;
  uint32_t blocks;  // n * channel_blocks

  HOST_DEVICE static int phases() { return 2; }

  HOST_DEVICE void operator()(int phase, uint32_t block, int thread, Shared& shared) const {
    uint32_t image = block;
    const int first = static_cast<int>(channel_blocks.Split(image)) * kChannels;
    if (phase == 0) {
      SumPixels(image, first, thread, shared);
    } else {
      AddLanes(image, first, thread, shared);
    }
  }

 private:
  HOST_DEVICE void SumPixels(uint32_t image, int first, int thread, Shared& shared) const {
    const int column = thread % kPacks * kWidth, lane = thread / kPacks;
    Sum sums[kWidth];
    UNROLL
    for (int i = 0; i < kWidth; ++i) sums[i] = 0;
    if (first + column < channels) {
      const T* from = x + int64_t{image} * pixels * channels + first + column;
      UNROLL
      for (int pixel = lane; pixel < pixels; pixel += kLanes) {
        const Pack<T, kWidth> in = Load<kWidth>(from + int64_t{pixel} * channels);
        UNROLL
        for (int i = 0; i < kWidth; ++i) sums[i] += Sums<T>::Of(in[i]);
      }
    }
    UNROLL
    for (int i = 0; i < kWidth; ++i) shared.sums[lane][column + i] = sums[i];
  }

  HOST_DEVICE void AddLanes(uint32_t image, int first, int thread, Shared& shared) const {
    for (int c = thread; c < kChannels && first + c < channels; c += kThreads) {
      Sum sum = 0;
      UNROLL
      for (int lane = 0; lane < kLanes; ++lane) sum += shared.sums[lane][c];
      const float mean = fmaf(static_cast<float>(sum), scale, shift ? shift[0] : 0.0f);
      y[int64_t{image} * channels + first + c] = FromFloat<To>(mean);
    }
  }
};

}  // namespace resnet_native::cuda
