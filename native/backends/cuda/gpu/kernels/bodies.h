#pragma once

#include <algorithm>
#include <string>
#include <type_traits>

#include "native/backends/cuda/device.h"
#include "native/backends/cuda/gpu/kernels/convolution.h"
#include "native/backends/cuda/gpu/kernels/epilogue.h"
#include "native/backends/cuda/gpu/kernels/layout.h"
#include "native/backends/cuda/gpu/kernels/load_input.h"
#include "native/backends/cuda/gpu/kernels/pool.h"

// From an operation to the body of ours that does it. WithBody(operation, operands, run) calls `run` with the
// body: to launch it on a GPU or, in tests, to walk its grid on the host. Which body it is depends on the
// operation alone. Throws kUnsupported where there is none.

namespace resnet_native::cuda {

template <class T>
using Tag = std::type_identity<T>;

// Calls f with the storage type of a dtype.
template <class F>
void WithFloatType(DType dtype, const F& f) {
  switch (dtype) {
    case DType::kFloat32:
    case DType::kTf32:
      return f(Tag<float>{});
    case DType::kFloat16:
      return f(Tag<Half>{});
    case DType::kBfloat16:
      return f(Tag<BFloat16>{});
    case DType::kInt8:
    case DType::kUint8:
      throw Error(ErrorCode::kUnsupported, "no kernel of ours takes integers here");
  }
}
template <class F>
void WithType(DType dtype, const F& f) {
  if (dtype == DType::kInt8) return f(Tag<int8_t>{});
  WithFloatType(dtype, f);
}

// The pairs of types that a result is converted between: to itself or to float32.
template <class F>
void WithTypes(DType from, DType to, const F& f) {
  WithType(from, [&]<class From>(Tag<From> from_type) {
    if (ElementSize(from) == ElementSize(to)) {
      if (from != to && ElementSize(from) != 4) {
        throw Error(ErrorCode::kUnsupported, "no kernel of ours converts between these types");
      }
      f(from_type, from_type);
    } else if (ElementSize(to) == 4) {
      f(from_type, Tag<float>{});
    } else {
      throw Error(ErrorCode::kUnsupported, "no kernel of ours converts between these types");
    }
  });
}

// Calls f with the number of elements that a thread takes at once: what fills 16 bytes, if that divides the
// channels, else one.
template <class T, class F>
void WithWidth(int64_t channels, const F& f) {
  if (channels % kPackWidth<T> == 0) {
    f(std::integral_constant<int, kPackWidth<T>>{});
  } else {
    f(std::integral_constant<int, 1>{});
  }
}

inline uint32_t ThreadCount(int64_t threads) {
  if (threads < kMaxThreads) return static_cast<uint32_t>(threads);
  throw Error(ErrorCode::kUnsupported, "the batch is too large for one launch: " + std::to_string(threads) +
                                           " threads, and less than 2^31 can be; use smaller batches");
}

// Of a size that is part of a number of threads, and so as small as that. Throws kUnsupported.
inline Divisor DivisorOf(int64_t size) { return Divisor(ThreadCount(std::max<int64_t>(size, 1))); }

inline int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

inline Sliding SlidingOf(const Window& window, int64_t h, int64_t w) {
  return {static_cast<int>(h),
          static_cast<int>(w),
          static_cast<int>(window.OutH(h)),
          static_cast<int>(window.OutW(w)),
          window.kernel_h,
          window.kernel_w,
          window.stride_h,
          window.stride_w,
          window.pad_h,
          window.pad_w,
          window.dilation_h,
          window.dilation_w};
}

template <class Run>
void WithBody(const LoadInput& op, const Operands& operands, const Run& run) {
  const Normalization normalization{op.normalize ? operands.scale : nullptr,
                                    op.normalize ? operands.shift : nullptr};
  const int64_t pixels = op.n * op.h * op.w;
  WithFloatType(op.to, [&]<class To>(Tag<To>) {
    auto* y = static_cast<To*>(operands.y);
    const auto any = [&]<class From>(Tag<From>) {
      run(LoadPixels<From, To>{static_cast<const From*>(operands.x), y, normalization,
                               op.layout == Layout::kNchw, op.channels, op.padded_channels,
                               DivisorOf(op.h * op.w), ThreadCount(pixels)});
    };
    const auto rgb = [&]<int kPadded>(std::integral_constant<int, kPadded>) {
      using Body = LoadRgb<To, kPadded>;
      run(Body{static_cast<const uint8_t*>(operands.x), y, normalization, pixels,
               ThreadCount(CeilDiv(pixels, Body::kPixels))});
    };
    if (op.from == DType::kFloat32) return any(Tag<float>{});
    if (op.from != DType::kUint8 || op.layout != Layout::kNhwc) {
      throw Error(ErrorCode::kUnsupported, "input is uint8 NHWC or float32");
    }
    if (op.channels == 3 && op.padded_channels == 4) return rgb(std::integral_constant<int, 4>{});
    if (op.channels == 3 && op.padded_channels == 8) return rgb(std::integral_constant<int, 8>{});
    any(Tag<uint8_t>{});
  });
}

// What an epilogue does beside the addresses.
struct EpilogueSizes {
  int64_t elements = 0;
  int channels = 1;
  bool relu = false;
};

template <class From, class To, class Run>
void WithEpilogue(const EpilogueSizes& sizes, const From* x, const To* residual, float residual_scale,
                  const float* scale, const float* shift, To* y, const Run& run) {
  using Body = Epilogue<From, To>;
  run(Body{x, residual, y, scale, shift, residual_scale, sizes.relu, sizes.elements, sizes.channels,
           DivisorOf(sizes.channels / Body::kWidth), ThreadCount(CeilDiv(sizes.elements, Body::kWidth))});
}

template <class Run>
void WithBody(const AddTensors& op, const Operands& operands, const Run& run) {
  WithFloatType(op.dtype, [&]<class T>(Tag<T>) {
    WithEpilogue<T, T>({op.elements, 1, op.relu}, static_cast<const T*>(operands.x),
                       static_cast<const T*>(operands.residual), 1.0f, nullptr, nullptr,
                       static_cast<T*>(operands.y), run);
  });
}

template <class Run>
void WithBody(const ScaleShift& op, const Operands& operands, const Run& run) {
  WithType(op.dtype, [&]<class T>(Tag<T>) {
    WithEpilogue<T, T>({op.pixels * op.channels, op.channels, op.relu}, static_cast<const T*>(operands.x),
                       nullptr, 0.0f, op.affine ? operands.scale : nullptr,
                       op.affine ? operands.shift : nullptr, static_cast<T*>(operands.y), run);
  });
}

template <class Run>
void WithBody(const Quantize& op, const Operands& operands, const Run& run) {
  WithFloatType(op.from, [&]<class From>(Tag<From>) {
    using Body = QuantizeElements<From>;
    run(Body{static_cast<const From*>(operands.x), static_cast<int8_t*>(operands.y), operands.scale,
             op.elements, ThreadCount(CeilDiv(op.elements, Body::kWidth))});
  });
}

template <class Run>
void WithBody(const MaxPool& op, const Operands& operands, const Run& run) {
  WithType(op.dtype, [&]<class T>(Tag<T>) {
    WithWidth<T>(op.channels, [&]<int kWidth>(std::integral_constant<int, kWidth>) {
      const Sliding sliding = SlidingOf(op.window, op.h, op.w);
      const int packs = op.channels / kWidth;
      run(MaxPoolPixels<T, kWidth>{static_cast<const T*>(operands.x), static_cast<T*>(operands.y), sliding,
                                   DivisorOf(packs), DivisorOf(sliding.out_w), DivisorOf(sliding.out_h),
                                   ThreadCount(op.n * sliding.out_h * sliding.out_w * packs)});
    });
  });
}

template <class Run>
void WithBody(const AveragePool& op, const Operands& operands, const Run& run) {
  WithType(op.dtype, [&]<class T>(Tag<T>) {
    WithWidth<T>(op.channels, [&]<int kWidth>(std::integral_constant<int, kWidth>) {
      using Body = AveragePixels<T, kWidth>;
      const int64_t channel_blocks = CeilDiv(op.channels, Body::kChannels);
      run(Body{static_cast<const T*>(operands.x), static_cast<T*>(operands.y), op.channels,
               static_cast<int>(op.pixels), DivisorOf(channel_blocks), ThreadCount(op.n * channel_blocks)});
    });
  });
}

template <class Run>
void WithBody(const ZeroPadShortcut& op, const Operands& operands, const Run& run) {
  WithType(op.dtype, [&]<class T>(Tag<T>) {
    const bool both = op.channels % kPackWidth<T> == 0;
    WithWidth<T>(both ? op.out_channels : 1, [&]<int kWidth>(std::integral_constant<int, kWidth>) {
      const int64_t out_h = CeilDiv(op.h, op.stride), out_w = CeilDiv(op.w, op.stride);
      const uint32_t packs = op.channels / kWidth, out_packs = op.out_channels / kWidth;
      run(ZeroPadPixels<T, kWidth>{static_cast<const T*>(operands.x), static_cast<T*>(operands.y), op.h, op.w,
                                   op.stride, packs, DivisorOf(out_packs), DivisorOf(out_w), DivisorOf(out_h),
                                   ThreadCount(op.n * out_h * out_w * out_packs)});
    });
  });
}

template <class Run>
void WithBody(const ToNchw& op, const Operands& operands, const Run& run) {
  const float* scale = op.from == DType::kInt8 && op.to != DType::kInt8 ? operands.scale : nullptr;
  WithTypes(op.from, op.to, [&]<class From, class To>(Tag<From>, Tag<To>) {
    const auto* x = static_cast<const From*>(operands.x);
    auto* y = static_cast<To*>(operands.y);
    if (op.pixels == 1 || op.channels == 1) {  // both orders are the same
      const EpilogueSizes sizes{op.n * op.pixels * op.channels, 1, false};
      return WithEpilogue<From, To>(sizes, x, nullptr, 0.0f, scale, nullptr, y, run);
    }
    using Body = Transpose<From, To>;
    const int64_t channel_tiles = CeilDiv(op.channels, Body::kTile);
    const int64_t pixel_tiles = CeilDiv(op.pixels, Body::kTile);
    run(Body{x, y, scale, op.pixels, op.channels, DivisorOf(channel_tiles), DivisorOf(pixel_tiles),
             ThreadCount(op.n * pixel_tiles * channel_tiles)});
  });
}

// A direct convolution of `From` that gives `To`.
template <class From, class To, class Sum, class Run>
void WithDirectConvolution(const Convolution& op, const Operands& operands, const Run& run) {
  const bool scaled = op.dtype == DType::kInt8;
  const int group_in = op.in_channels / op.groups;
  const Sliding sliding = SlidingOf(op.window, op.h, op.w);
  // Packs are loaded at the first channel of each group and of each filter.
  WithWidth<From>(group_in, [&]<int kWidth>(std::integral_constant<int, kWidth>) {
    run(DirectConvolution<From, To, Sum, kWidth>{
        static_cast<const From*>(operands.x), static_cast<const From*>(operands.filters),
        op.residual ? static_cast<const To*>(operands.residual) : nullptr, static_cast<To*>(operands.y),
        scaled ? operands.scale : nullptr, operands.shift, scaled ? operands.residual_scale : 1.0f, op.relu,
        sliding, op.in_channels, group_in, DivisorOf(op.out_channels / op.groups), DivisorOf(op.out_channels),
        DivisorOf(sliding.out_w), DivisorOf(sliding.out_h),
        ThreadCount(op.n * sliding.out_h * sliding.out_w * op.out_channels)});
  });
}

template <class Run>
void WithBody(const Convolution& op, const Operands& operands, const Run& run) {
  if (op.dtype == DType::kInt8) {
    return WithDirectConvolution<int8_t, int8_t, int32_t>(op, operands, run);
  }
  WithFloatType(op.dtype, [&]<class T>(Tag<T>) { WithDirectConvolution<T, T, float>(op, operands, run); });
}

template <class Run>
void WithBody(const Linear& op, const Operands& operands, const Run& run) {
  const Convolution pointwise{.dtype = op.dtype,
                              .n = op.rows,
                              .h = 1,
                              .w = 1,
                              .in_channels = op.in_features,
                              .out_channels = op.out_features};
  WithFloatType(op.dtype, [&]<class T>(Tag<T>) {
    if (ElementSize(op.to) == 4) return WithDirectConvolution<T, float, float>(pointwise, operands, run);
    if (op.to != op.dtype) throw Error(ErrorCode::kUnsupported, "a linear layer gives its dtype or float32");
    WithDirectConvolution<T, T, float>(pointwise, operands, run);
  });
}

}  // namespace resnet_native::cuda
