#pragma once

#include "native/backends/cuda/gpu/kernels/numeric.h"

// Products of neighbouring elements, added to a sum: of floats one by one in float32, of bytes with int8
// filters four by four, exactly.

namespace resnet_native::cuda {

template <class T>
struct FilterType {
  using Type = T;
};
template <>
struct FilterType<Byte> {
  using Type = int8_t;
};
template <class T>
using FilterOf = typename FilterType<T>::Type;

// c + the products of four uint8 of `a` with four int8 of `b`.
HOST_DEVICE int32_t Dot4(uint32_t a, uint32_t b, int32_t c) {
#if defined(__CUDA_ARCH__)
  int32_t sum;
  asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(sum) : "r"(a), "r"(b), "r"(c));
  return sum;
#else
  for (int shift = 0; shift < 32; shift += 8) {
    c += static_cast<int32_t>(a >> shift & 255) * static_cast<int8_t>(b >> shift & 255);
  }
  return c;
#endif
}

// The four stored bytes of a word become what they stand for: adding 128 is flipping the highest bit.
HOST_DEVICE uint32_t FourValues(uint32_t stored) { return stored ^ 0x80808080u; }

template <int kWidth>
HOST_DEVICE int32_t AddProducts(int32_t sum, const Pack<Byte, kWidth>& a, const Pack<int8_t, kWidth>& b) {
  if constexpr (kWidth % 4 == 0) {
    UNROLL
    for (int i = 0; i < kWidth; i += 4) {
      uint32_t four, filters;
      memcpy(&four, &a.values[i], sizeof(four));
      memcpy(&filters, &b.values[i], sizeof(filters));
      sum = Dot4(FourValues(four), filters, sum);
    }
  } else {
    UNROLL
    for (int i = 0; i < kWidth; ++i) sum += Value(a[i]) * b[i];
  }
  return sum;
}

template <class T, int kWidth>
HOST_DEVICE float AddProducts(float sum, const Pack<T, kWidth>& a, const Pack<T, kWidth>& b) {
  UNROLL
  for (int i = 0; i < kWidth; ++i) sum += ToFloat(a[i]) * ToFloat(b[i]);
  return sum;
}

}  // namespace resnet_native::cuda
