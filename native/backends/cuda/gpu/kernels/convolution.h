#pragma once

#include <type_traits>

#include "native/backends/cuda/gpu/kernels/dot.h"
#include "native/backends/cuda/gpu/kernels/epilogue.h"
#include "native/backends/cuda/gpu/kernels/pool.h"

namespace resnet_native::cuda {

// Any convolution (and, as one of 1×1 over one pixel, any linear layer), one output a thread: what is taken
// where no library has a kernel. kWidth divides the channels of a group.
template <class From, class To, int kWidth>
struct DirectConvolution {
  using Filter = FilterOf<From>;
  using Sum = SumOf<From>;

  const From* x;
  const Filter* filters;  // [k][kernel_h][kernel_w][group_in]
  To* y;
  Tail<From> tail;
  Sliding sliding;
  From zero;  // what padding is made of; of floats, 0
  int in_channels, group_in;
  Divisor group_out, out_channels, out_w, out_h;
  uint32_t threads;  // n * out_h * out_w * out_channels

  HOST_DEVICE void operator()(uint32_t thread) const {
    uint32_t rest = thread;
    const uint32_t k = out_channels.Split(rest);
    const auto ow = static_cast<int>(out_w.Split(rest)), oh = static_cast<int>(out_h.Split(rest));
    const int64_t image = rest, group = group_out.Divide(k);
    const From* from = x + image * sliding.h * sliding.w * in_channels + group * group_in;
    const Filter* filter = filters + int64_t{k} * sliding.kernel_h * sliding.kernel_w * group_in;

    Sum sum = 0;
    for (int kh = 0; kh < sliding.kernel_h; ++kh) {
      const int h = oh * sliding.stride_h - sliding.pad_h + kh * sliding.dilation_h;
      for (int kw = 0; kw < sliding.kernel_w; ++kw) {
        const int w = ow * sliding.stride_w - sliding.pad_w + kw * sliding.dilation_w;
        const Filter* weights = filter + (kh * sliding.kernel_w + kw) * group_in;
        if (h >= 0 && h < sliding.h && w >= 0 && w < sliding.w) {
          sum = AddTap(sum, from + (int64_t{h} * sliding.w + w) * in_channels, weights);
        } else if constexpr (std::is_same_v<From, Byte>) {
          if (Value(zero) != 0) sum = AddPadding(sum, weights);
        }
      }
    }
    y[thread] = FromFloat<To>(tail.At(static_cast<float>(sum), static_cast<int>(k), thread));
  }

 private:
  HOST_DEVICE Sum AddTap(Sum sum, const From* pixel, const Filter* weights) const {
    NO_UNROLL
    for (int c = 0; c < group_in; c += kWidth) {
      sum = AddProducts(sum, Load<kWidth>(pixel + c), Load<kWidth>(weights + c));
    }
    return sum;
  }
  // Bytes only.
  HOST_DEVICE Sum AddPadding(Sum sum, const Filter* weights) const {
    Pack<From, kWidth> zeros;
    UNROLL
    for (int i = 0; i < kWidth; ++i) zeros[i] = zero;
    NO_UNROLL
    for (int c = 0; c < group_in; c += kWidth) sum = AddProducts(sum, zeros, Load<kWidth>(weights + c));
    return sum;
  }
};

}  // namespace resnet_native::cuda
