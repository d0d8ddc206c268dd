#pragma once

#include "native/backends/cuda/gpu/kernels/grid.h"
#include "native/backends/cuda/gpu/kernels/pool.h"

namespace resnet_native::cuda {

// Any convolution (and, as one of 1×1 over one pixel, any linear layer), one output a thread: what is taken
// where no library has a kernel. kWidth divides the channels of a group; Sum is float, or int32_t for int8.
// y = relu?(sum * scale[k]? + residual * residual_scale? + shift[k]?), rounded once.
template <class From, class To, class Sum, int kWidth>
struct DirectConvolution {
  const From* x;
  const From* filters;  // [k][kernel_h][kernel_w][group_in]
  const To* residual;   // null: none
  To* y;
  const float* scale;  // null: 1
  const float* shift;  // null: 0
  float residual_scale;
  bool relu;
  Sliding sliding;
  int in_channels, group_in;
  Divisor group_out, out_channels, out_w, out_h;
  uint32_t threads;  // n * out_h * out_w * out_channels

  HOST_DEVICE void operator()(uint32_t thread) const {
    uint32_t rest = thread;
    const uint32_t k = out_channels.Split(rest);
    const auto ow = static_cast<int>(out_w.Split(rest)), oh = static_cast<int>(out_h.Split(rest));
    const int64_t image = rest, group = group_out.Divide(k);
    const From* from = x + image * sliding.h * sliding.w * in_channels + group * group_in;
    const From* filter = filters + int64_t{k} * sliding.kernel_h * sliding.kernel_w * group_in;

    Sum sum = 0;
    for (int kh = 0; kh < sliding.kernel_h; ++kh) {
      const int h = oh * sliding.stride_h - sliding.pad_h + kh * sliding.dilation_h;
      if (h < 0 || h >= sliding.h) continue;
      for (int kw = 0; kw < sliding.kernel_w; ++kw) {
        const int w = ow * sliding.stride_w - sliding.pad_w + kw * sliding.dilation_w;
        if (w < 0 || w >= sliding.w) continue;
        sum = AddTap(sum, from + (int64_t{h} * sliding.w + w) * in_channels,
                     filter + (kh * sliding.kernel_w + kw) * group_in);
      }
    }
    float result = scale ? static_cast<float>(sum) * scale[k] : static_cast<float>(sum);
    if (residual) result += ToFloat(residual[thread]) * residual_scale;
    if (shift) result += shift[k];
    y[thread] = FromFloat<To>(relu ? Relu(result) : result);
  }

 private:
  HOST_DEVICE Sum AddTap(Sum sum, const From* pixel, const From* weights) const {
    NO_UNROLL
    for (int c = 0; c < group_in; c += kWidth) {
      const Pack<From, kWidth> in = Load<kWidth>(pixel + c), weight = Load<kWidth>(weights + c);
      UNROLL
      for (int i = 0; i < kWidth; ++i) sum += Product(in[i], weight[i]);
    }
    return sum;
  }
  HOST_DEVICE static int32_t Product(int8_t a, int8_t b) { return int32_t{a} * b; }
  template <class T>
  HOST_DEVICE static float Product(T a, T b) {
    return ToFloat(a) * ToFloat(b);
  }
};

}  // namespace resnet_native::cuda
