#pragma once

#include <immintrin.h>

#include <cstdint>

// 16 floats in a zmm register; needs AVX-512 F, BW, DQ and VL. What the functions do is said in
// simd_generic.h.

namespace resnet_native::cpu {
namespace {

struct SimdAvx512 {
  static constexpr const char* kIsa = "avx512";
  static constexpr int kLanes = 16;
  using T = __m512;
  using Index = __m512i;

  static inline __attribute__((always_inline)) T Zero() { return _mm512_setzero_ps(); }
  static inline __attribute__((always_inline)) T Load(const float* p) { return _mm512_loadu_ps(p); }
  static inline __attribute__((always_inline)) T LoadPartial(const float* p, int64_t count) {
    return _mm512_maskz_loadu_ps(Mask(count), p);
  }
  static inline __attribute__((always_inline)) void Store(float* p, T v) { _mm512_storeu_ps(p, v); }
  static inline __attribute__((always_inline)) void StorePartial(float* p, T v, int64_t count) {
    _mm512_mask_storeu_ps(p, Mask(count), v);
  }
  static inline __attribute__((always_inline)) T Broadcast(const float* p) { return _mm512_set1_ps(*p); }
  static inline __attribute__((always_inline)) T Add(T a, T b) { return _mm512_add_ps(a, b); }
  static inline __attribute__((always_inline)) T Mul(T a, T b) { return _mm512_mul_ps(a, b); }
  static inline __attribute__((always_inline)) T MulAdd(T a, T b, T c) {
    // As an intrinsic, gcc 12 lets sums wander between registers and spills them.
    asm("vfmadd231ps %2, %1, %0" : "+v"(c) : "v"(a), "v"(b));
    return c;
  }
  // The instruction returns its second operand if either is NaN.
  static inline __attribute__((always_inline)) T Relu(T v) { return _mm512_max_ps(Zero(), v); }
  static inline __attribute__((always_inline)) T Max(T a, T b) {
    return _mm512_mask_max_ps(a, _mm512_cmp_ps_mask(a, a, _CMP_ORD_Q), a, b);
  }

  static inline __attribute__((always_inline)) T LoadBytes(const uint8_t* p) {
    return FromBytes(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static inline __attribute__((always_inline)) T LoadBytesPartial(const uint8_t* p, int64_t count) {
    return FromBytes(_mm_maskz_loadu_epi8(Mask(count), p));
  }

  static inline __attribute__((always_inline)) T LowerHalf(T v) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(v), 16));
  }
  static inline __attribute__((always_inline)) T UpperHalf(T v) {
    const __m512i mask = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(v), mask));
  }
  static inline __attribute__((always_inline)) T LoadBfloat16(const uint16_t* p) {
    return FromHalves(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static inline __attribute__((always_inline)) T LoadBfloat16Partial(const uint16_t* p, int64_t count) {
    return FromHalves(_mm256_maskz_loadu_epi16(Mask(count), p));
  }
  static inline __attribute__((always_inline)) void StoreBfloat16(uint16_t* p, T v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), ToBfloat16(v));
  }
  static inline __attribute__((always_inline)) void StoreBfloat16Partial(uint16_t* p, T v, int64_t count) {
    _mm256_mask_storeu_epi16(p, Mask(count), ToBfloat16(v));
  }

  static inline __attribute__((always_inline)) Index LoadIndex(const int32_t* p) {
    return _mm512_loadu_si512(p);
  }
  static inline __attribute__((always_inline)) Index NextIndex(Index index) {
    return _mm512_add_epi32(index, _mm512_set1_epi32(1));
  }
  static inline __attribute__((always_inline)) T Permute(T v, Index index) {
    return _mm512_permutexvar_ps(index, v);
  }

  // Four 4 × 4 blocks at a time: columns are gathered by shuffles inside the 128-bit parts, then the parts
  // change places.
  static inline void Transpose(const float* x, int64_t x_stride, float* y, int64_t y_stride) {
    T r[16], pairs[16], quads[16], halves[16];
    for (int i = 0; i < 16; ++i) r[i] = Load(x + i * x_stride);
    for (int i = 0; i < 16; i += 2) {
      pairs[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
      pairs[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
      quads[i] = _mm512_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
      quads[i + 1] = _mm512_shuffle_ps(pairs[i], pairs[i + 2], 0xee);
      quads[i + 2] = _mm512_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
      quads[i + 3] = _mm512_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xee);
    }
    // quads[4 g + k] holds, in part p, column 4 p + k of rows 4 g … 4 g + 3.
    for (int k = 0; k < 4; ++k) {
      halves[k] = _mm512_shuffle_f32x4(quads[k], quads[k + 4], 0x88);  // columns k, k + 8
      halves[k + 4] = _mm512_shuffle_f32x4(quads[k + 8], quads[k + 12], 0x88);
      halves[k + 8] = _mm512_shuffle_f32x4(quads[k], quads[k + 4], 0xdd);  // columns k + 4, k + 12
      halves[k + 12] = _mm512_shuffle_f32x4(quads[k + 8], quads[k + 12], 0xdd);
    }
    for (int k = 0; k < 4; ++k) {
      Store(y + k * y_stride, _mm512_shuffle_f32x4(halves[k], halves[k + 4], 0x88));
      Store(y + (k + 8) * y_stride, _mm512_shuffle_f32x4(halves[k], halves[k + 4], 0xdd));
      Store(y + (k + 4) * y_stride, _mm512_shuffle_f32x4(halves[k + 8], halves[k + 12], 0x88));
      Store(y + (k + 12) * y_stride, _mm512_shuffle_f32x4(halves[k + 8], halves[k + 12], 0xdd));
    }
  }

 protected:
  static inline __attribute__((always_inline)) __mmask16 Mask(int64_t count) {
    return static_cast<__mmask16>((1u << count) - 1);
  }
  static inline __attribute__((always_inline)) T FromHalves(__m256i halves) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
  }
  static inline __attribute__((always_inline)) __m256i ToBfloat16(T v) {
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    const __mmask16 is_nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_mask_mov_epi32(rounded, is_nan, quiet), 16));
  }
  static inline __attribute__((always_inline)) T FromBytes(__m128i bytes) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
  }
};

}  // namespace
}  // namespace resnet_native::cpu
