#pragma once

#include "native/backends/cpu/kernels/simd_avx512.h"

// 16 floats in a zmm register, and what AVX-512 BF16 adds. Its instructions treat denormal numbers as zero.

namespace resnet_native::cpu {
namespace {

struct SimdAvx512Bf16 : SimdAvx512 {
  static constexpr const char* kIsa = "avx512_bf16";

  static inline __attribute__((always_inline)) void StoreBfloat16(uint16_t* p, T v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), Round(v));
  }
  static inline __attribute__((always_inline)) void StoreBfloat16Partial(uint16_t* p, T v, int64_t count) {
    _mm256_mask_storeu_epi16(p, Mask(count), Round(v));
  }
  // sum + the products of each lane's two pairs.
  static inline __attribute__((always_inline)) T DotBfloat16(T a, T b, T sum) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));  // as MulAdd's: no intrinsic
    return sum;
  }

 private:
  static inline __attribute__((always_inline)) __m256i Round(T v) { return (__m256i)_mm512_cvtneps_pbh(v); }
};

}  // namespace
}  // namespace resnet_native::cpu
