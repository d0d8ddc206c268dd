#pragma once

#include <immintrin.h>

#include <cstdint>

// 8 floats in a ymm register; needs AVX2 and FMA. What the functions do is said in simd_generic.h.

namespace resnet_native::cpu {
namespace {

struct SimdAvx2 {
  static constexpr const char* kIsa = "avx2";
  static constexpr int kLanes = 8;
  using T = __m256;
  using Index = __m256i;

  static inline __attribute__((always_inline)) T Zero() { return _mm256_setzero_ps(); }
  static inline __attribute__((always_inline)) T Load(const float* p) { return _mm256_loadu_ps(p); }
  static inline __attribute__((always_inline)) T LoadPartial(const float* p, int64_t count) {
    return _mm256_maskload_ps(p, Mask(count));
  }
  static inline __attribute__((always_inline)) void Store(float* p, T v) { _mm256_storeu_ps(p, v); }
  static inline __attribute__((always_inline)) void StorePartial(float* p, T v, int64_t count) {
    _mm256_maskstore_ps(p, Mask(count), v);
  }
  static inline __attribute__((always_inline)) T Broadcast(const float* p) { return _mm256_broadcast_ss(p); }
  static inline __attribute__((always_inline)) T Add(T a, T b) { return _mm256_add_ps(a, b); }
  static inline __attribute__((always_inline)) T Mul(T a, T b) { return _mm256_mul_ps(a, b); }
  static inline __attribute__((always_inline)) T MulAdd(T a, T b, T c) {
    // As an intrinsic, gcc 12 lets sums wander between registers and spills them.
    asm("vfmadd231ps %2, %1, %0" : "+x"(c) : "x"(a), "x"(b));
    return c;
  }
  // The instruction returns its second operand if either is NaN.
  static inline __attribute__((always_inline)) T Relu(T v) { return _mm256_max_ps(Zero(), v); }
  static inline __attribute__((always_inline)) T Max(T a, T b) {
    return _mm256_blendv_ps(_mm256_max_ps(a, b), a, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
  }

  static inline __attribute__((always_inline)) T LoadBytes(const uint8_t* p) {
    return FromBytes(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static inline __attribute__((always_inline)) T LoadBytesPartial(const uint8_t* p, int64_t count) {
    alignas(16) uint8_t bytes[16] = {};
    for (int64_t i = 0; i < count; ++i) bytes[i] = p[i];
    return FromBytes(_mm_load_si128(reinterpret_cast<const __m128i*>(bytes)));
  }

  static inline __attribute__((always_inline)) T LowerHalf(T v) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(v), 16));
  }
  static inline __attribute__((always_inline)) T UpperHalf(T v) {
    return _mm256_and_ps(v, _mm256_castsi256_ps(_mm256_set1_epi32(static_cast<int>(0xffff0000u))));
  }
  static inline __attribute__((always_inline)) T LoadBfloat16(const uint16_t* p) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
  }
  static inline __attribute__((always_inline)) T LoadBfloat16Partial(const uint16_t* p, int64_t count) {
    alignas(16) uint16_t halves[8] = {};
    for (int64_t i = 0; i < count; ++i) halves[i] = p[i];
    return LoadBfloat16(halves);
  }
  static inline __attribute__((always_inline)) void StoreBfloat16(uint16_t* p, T v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), ToBfloat16(v));
  }
  static inline __attribute__((always_inline)) void StoreBfloat16Partial(uint16_t* p, T v, int64_t count) {
    alignas(16) uint16_t halves[8];
    _mm_store_si128(reinterpret_cast<__m128i*>(halves), ToBfloat16(v));
    for (int64_t i = 0; i < count; ++i) p[i] = halves[i];
  }

  static inline __attribute__((always_inline)) Index LoadIndex(const int32_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static inline __attribute__((always_inline)) Index NextIndex(Index index) {
    return _mm256_add_epi32(index, _mm256_set1_epi32(1));
  }
  static inline __attribute__((always_inline)) T Permute(T v, Index index) {
    return _mm256_permutevar8x32_ps(v, index);
  }

  static inline void Transpose(const float* x, int64_t x_stride, float* y, int64_t y_stride) {
    T r[8], pairs[8], quads[8];
    for (int i = 0; i < 8; ++i) r[i] = Load(x + i * x_stride);
    for (int i = 0; i < 8; i += 2) {
      pairs[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
      pairs[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
      quads[i] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
      quads[i + 1] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0xee);
      quads[i + 2] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
      quads[i + 3] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xee);
    }
    for (int i = 0; i < 4; ++i) {
      Store(y + i * y_stride, _mm256_permute2f128_ps(quads[i], quads[i + 4], 0x20));
      Store(y + (i + 4) * y_stride, _mm256_permute2f128_ps(quads[i], quads[i + 4], 0x31));
    }
  }

 private:
  static inline __attribute__((always_inline)) __m128i ToBfloat16(T v) {
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    const __m256i upper = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, is_nan), 16);
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(upper, upper), 0x08);
    return _mm256_castsi256_si128(packed);
  }
  static inline __attribute__((always_inline)) __m256i Mask(int64_t count) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), lane);
  }
  static inline __attribute__((always_inline)) T FromBytes(__m128i bytes) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
  }
};

}  // namespace
}  // namespace resnet_native::cpu
