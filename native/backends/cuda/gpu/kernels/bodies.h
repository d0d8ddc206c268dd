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
#include "native/backends/cuda/gpu/kernels/resample.h"

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
  if (dtype == DType::kInt8) return f(Tag<Byte>{});
  WithFloatType(dtype, f);
}

[[noreturn]] inline void NoConversion() {
  throw Error(ErrorCode::kUnsupported, "no kernel of ours converts between these types");
}

// The pairs of types that a result is converted between: to itself or to float32.
template <class F>
void WithTypes(DType from, DType to, const F& f) {
  WithType(from, [&]<class From>(Tag<From> from_type) {
    if (ElementSize(from) == ElementSize(to)) {
      if (from != to && ElementSize(from) != 4) NoConversion();
      f(from_type, from_type);
    } else if (ElementSize(to) == 4) {
      f(from_type, Tag<float>{});
    } else {
      NoConversion();
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
  const bool affine = op.normalize || (op.to == DType::kInt8 && op.from == DType::kFloat32);
  const float* scale = affine ? operands.scale : nullptr;
  const float* shift = affine ? operands.shift : nullptr;
  const int64_t pixels = op.n * op.h * op.w;
  WithType(op.to, [&]<class To>(Tag<To>) {
    auto* y = static_cast<To*>(operands.y);
    const Conversion<To> conversion{scale, shift, operands.table};
    const auto any = [&]<class From>(Tag<From>) {
      run(LoadPixels<From, To>{static_cast<const From*>(operands.x), y, conversion,
                               op.layout == Layout::kNchw, op.channels, op.padded_channels,
                               DivisorOf(op.h * op.w), ThreadCount(pixels)});
    };
    const auto rgb = [&]<int kPadded>(std::integral_constant<int, kPadded>) {
      using Body = LoadRgb<To, kPadded>;
      run(Body{static_cast<const uint8_t*>(operands.x), y, conversion, pixels,
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

template <class From, class Residual, class To, class Run>
void WithEpilogue(int64_t elements, int channels, const From* x, To* y, const Tail<Residual>& tail,
                  const Run& run) {
  using Body = Epilogue<From, Residual, To>;
  run(Body{x, y, tail, elements, channels, DivisorOf(channels / Body::kWidth),
           ThreadCount(CeilDiv(elements, Body::kWidth))});
}

// Sums of stored bytes that a library left, and what is to become of them.
template <class Sum>
struct LibrarySums {
  const Sum* sums;
  int64_t elements;
  int channels;
  DType to;  // kInt8 or kFloat32
  bool residual, relu;
};

template <class Sum, class Run>
void WithEpilogue(const LibrarySums<Sum>& op, const Operands& operands, const Run& run) {
  const Tail<int8_t> tail{
      op.residual ? static_cast<const int8_t*>(operands.residual) : nullptr, operands.residual_scale,
      operands.scale, static_cast<const float*>(operands.typed_shift), op.relu && op.to == DType::kFloat32};
  if (op.to == DType::kFloat32) {
    return WithEpilogue(op.elements, op.channels, op.sums, static_cast<float*>(operands.y), tail, run);
  }
  WithEpilogue(op.elements, op.channels, op.sums, static_cast<int8_t*>(operands.y), tail, run);
}

template <class Run>
void WithBody(const Elementwise& op, const Operands& operands, const Run& run) {
  const auto pair = [&]<class From, class To>(Tag<From>, Tag<To>) {
    const Tail<From> tail{op.residual ? static_cast<const From*>(operands.residual) : nullptr,
                          operands.residual_scale, op.affine ? operands.scale : nullptr,
                          op.affine ? operands.shift : nullptr, op.relu};
    WithEpilogue(op.elements, op.channels, static_cast<const From*>(operands.x), static_cast<To*>(operands.y),
                 tail, run);
  };
  if (op.from == DType::kFloat32 && op.to == DType::kInt8) return pair(Tag<float>{}, Tag<Byte>{});
  if (op.from == DType::kInt8 && op.to == DType::kFloat32) return pair(Tag<Byte>{}, Tag<float>{});
  if (op.from != op.to) NoConversion();
  WithType(op.from, [&]<class T>(Tag<T> type) { pair(type, type); });
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
  const bool int8 = op.dtype == DType::kInt8;
  const auto scale = static_cast<float>((int8 ? operands.pixel_scale : 1.0) / static_cast<double>(op.pixels));
  const auto pair = [&]<class T, class To>(Tag<T>, Tag<To>) {
    WithWidth<T>(op.channels, [&]<int kWidth>(std::integral_constant<int, kWidth>) {
      using Body = AveragePixels<T, To, kWidth>;
      const int64_t channel_blocks = CeilDiv(op.channels, Body::kChannels);
      run(Body{static_cast<const T*>(operands.x), static_cast<To*>(operands.y), scale,
               int8 ? operands.shift : nullptr, op.channels, static_cast<int>(op.pixels),
               DivisorOf(channel_blocks), ThreadCount(op.n * channel_blocks)});
    });
  };
  if (op.to_float) return pair(Tag<Byte>{}, Tag<float>{});
  WithType(op.dtype, [&]<class T>(Tag<T> type) { pair(type, type); });
}

template <class Run>
void WithBody(const ZeroPadShortcut& op, const Operands& operands, const Run& run) {
  WithType(op.dtype, [&]<class T>(Tag<T>) {
    const bool both = op.channels % kPackWidth<T> == 0;
    WithWidth<T>(both ? op.out_channels : 1, [&]<int kWidth>(std::integral_constant<int, kWidth>) {
      const int64_t out_h = CeilDiv(op.h, op.stride), out_w = CeilDiv(op.w, op.stride);
      const uint32_t packs = op.channels / kWidth, out_packs = op.out_channels / kWidth;
      run(ZeroPadPixels<T, kWidth>{static_cast<const T*>(operands.x), static_cast<T*>(operands.y),
                                   FromFloat<T>(static_cast<float>(op.zero_point)), op.h, op.w, op.stride,
                                   packs, DivisorOf(out_packs), DivisorOf(out_w), DivisorOf(out_h),
                                   ThreadCount(op.n * out_h * out_w * out_packs)});
    });
  });
}

// x of an int8 convolution with a border as wide as its padding, of its zero point.
template <class Run>
void WithBorder(const Convolution& op, const void* x, void* y, const Run& run) {
  const int border_h = op.window.pad_h, border_w = op.window.pad_w;
  const int64_t out_h = op.h + 2 * border_h, out_w = op.w + 2 * border_w;
  WithWidth<Byte>(op.in_channels, [&]<int kWidth>(std::integral_constant<int, kWidth>) {
    const int packs = op.in_channels / kWidth;
    run(AddBorder<Byte, kWidth>{static_cast<const Byte*>(x), static_cast<Byte*>(y),
                                FromFloat<Byte>(static_cast<float>(op.zero_point)), static_cast<int>(op.h),
                                static_cast<int>(op.w), border_h, border_w, DivisorOf(packs),
                                DivisorOf(out_w), DivisorOf(out_h),
                                ThreadCount(op.n * out_h * out_w * packs)});
  });
}

template <class Run>
void WithBody(const ToNchw& op, const Operands& operands, const Run& run) {
  const bool dequantizes = op.from == DType::kInt8 && op.to != DType::kInt8;
  const float* scale = dequantizes ? operands.scale : nullptr;
  const float* shift = dequantizes ? operands.shift : nullptr;
  WithTypes(op.from, op.to, [&]<class From, class To>(Tag<From>, Tag<To>) {
    const auto* x = static_cast<const From*>(operands.x);
    auto* y = static_cast<To*>(operands.y);
    if (op.pixels == 1 || op.channels == 1) {  // both orders are the same
      const Tail<From> tail{nullptr, 0.0f, scale, shift, false};
      return WithEpilogue(op.n * op.pixels * op.channels, 1, x, y, tail, run);
    }
    using Body = Transpose<From, To>;
    const int64_t channel_tiles = CeilDiv(op.channels, Body::kTile);
    const int64_t pixel_tiles = CeilDiv(op.pixels, Body::kTile);
    run(Body{x, y, scale, shift, op.pixels, op.channels, DivisorOf(channel_tiles), DivisorOf(pixel_tiles),
             ThreadCount(op.n * pixel_tiles * channel_tiles)});
  });
}

template <class Run>
void WithBody(const Resample& op, const Operands& operands, const Run& run) {
  const auto* first = static_cast<const int32_t*>(operands.filters);
  const int32_t* count = first + op.out_axis;
  run(ResampleBytes{static_cast<const uint8_t*>(operands.x), static_cast<uint8_t*>(operands.y), first, count,
                    count + op.out_axis, op.in_axis, static_cast<int>(op.weight_stride), DivisorOf(op.inner),
                    DivisorOf(op.out_axis), ThreadCount(op.outer * op.out_axis * op.inner)});
}

// The largest of the packs that there are direct convolutions for.
template <class T, class F>
void WithFilterWidth(int group_in, const F& f) {
  if constexpr (sizeof(T) == 1) {
    if (group_in % 16 != 0 && group_in % 4 == 0) return f(std::integral_constant<int, 4>{});
  }
  WithWidth<T>(group_in, f);
}

// A direct convolution of `From` that gives `To`.
template <class From, class To, class Run>
void WithDirectConvolution(const Convolution& op, const Operands& operands, const Run& run) {
  const int group_in = op.in_channels / op.groups;
  const Sliding sliding = SlidingOf(op.window, op.h, op.w);
  const Tail<From> tail{op.residual ? static_cast<const From*>(operands.residual) : nullptr,
                        operands.residual_scale, op.dtype == DType::kInt8 ? operands.scale : nullptr,
                        operands.shift, op.relu};
  // Packs are loaded at the first channel of each group and of each filter.
  WithFilterWidth<From>(group_in, [&]<int kWidth>(std::integral_constant<int, kWidth>) {
    using Body = DirectConvolution<From, To, kWidth>;
    run(Body{static_cast<const From*>(operands.x),
             static_cast<const typename Body::Filter*>(operands.filters), static_cast<To*>(operands.y), tail,
             sliding, FromFloat<From>(static_cast<float>(op.zero_point)), op.in_channels, group_in,
             DivisorOf(op.out_channels / op.groups), DivisorOf(op.out_channels), DivisorOf(sliding.out_w),
             DivisorOf(sliding.out_h), ThreadCount(op.n * sliding.out_h * sliding.out_w * op.out_channels)});
  });
}

template <class Run>
void WithBody(const Convolution& op, const Operands& operands, const Run& run) {
  if (op.to_float) return WithDirectConvolution<Byte, float>(op, operands, run);
  WithType(op.dtype, [&]<class T>(Tag<T>) { WithDirectConvolution<T, T>(op, operands, run); });
}

template <class Run>
void WithBody(const Linear& op, const Operands& operands, const Run& run) {
  const Convolution pointwise{.dtype = op.dtype,
                              .n = op.rows,
                              .h = 1,
                              .w = 1,
                              .in_channels = op.in_features,
                              .out_channels = op.out_features};
  WithType(op.dtype, [&]<class T>(Tag<T>) {
    if (ElementSize(op.to) == 4) return WithDirectConvolution<T, float>(pointwise, operands, run);
    if (op.to != op.dtype) throw Error(ErrorCode::kUnsupported, "a linear layer gives its dtype or float32");
    WithDirectConvolution<T, T>(pointwise, operands, run);
  });
}

}  // namespace resnet_native::cuda
