#include <immintrin.h>

#include "native/backends/cpu/kernels/int8_plain-inl.h"

// What follows the sums, 64 channels at a time.

namespace resnet_native::cpu {
namespace {

template <bool kResidual>
inline __attribute__((always_inline)) void FinishPixel(const Int8Finish& f, int pixel, __mmask64 stored,
                                                       __m512 (&y)[4]) {
  const int32_t* sums = f.sums + pixel * kInt8Panel;
  RESNET_NATIVE_UNROLL for (int v = 0; v < 4; ++v) {
    const __m512 sum = _mm512_cvtepi32_ps(_mm512_load_si512(sums + 16 * v));
    y[v] = _mm512_fmadd_ps(sum, _mm512_load_ps(f.multiplier + 16 * v), _mm512_load_ps(f.offset + 16 * v));
  }
  if constexpr (kResidual) {
    const uint8_t* residual = f.residual + pixel * f.y_stride;
    const __m512 scale = _mm512_set1_ps(f.residual_multiplier);
    RESNET_NATIVE_UNROLL for (int v = 0; v < 4; ++v) {
      const __m128i bytes = _mm_maskz_loadu_epi8(static_cast<__mmask16>(stored >> 16 * v), residual + 16 * v);
      y[v] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)), scale, y[v]);
    }
  }
}

// Narrowing takes care of what is below 0; above 255 the conversion to integers could overflow. It works
// inside each quarter of a vector: quarter q of vector v comes out as the 32 bits 4 q + v.
inline __attribute__((always_inline)) __m512i ToBytes(const __m512 (&y)[4]) {
  const __m512 largest = _mm512_set1_ps(255.0f);
  __m512i q[4];
  RESNET_NATIVE_UNROLL for (int v = 0; v < 4; ++v) q[v] = _mm512_cvtps_epi32(_mm512_min_ps(y[v], largest));
  const __m512i bytes = _mm512_packus_epi16(_mm512_packs_epi32(q[0], q[1]), _mm512_packs_epi32(q[2], q[3]));
  return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
                                  bytes);
}

template <bool kResidual>
void FinishPixels(const Int8Finish& f) {
  const __mmask64 stored = f.channels == kInt8Panel ? ~__mmask64{0} : (__mmask64{1} << f.channels) - 1;
  for (int i = 0; i < f.pixels; ++i) {
    __m512 values[4];
    FinishPixel<kResidual>(f, i, stored, values);
    if (f.to_bytes) {
      _mm512_mask_storeu_epi8(static_cast<uint8_t*>(f.y) + i * f.y_stride, stored, ToBytes(values));
      continue;
    }
    float* y = static_cast<float*>(f.y) + i * f.y_stride;
    const __m512 lowest = _mm512_set1_ps(f.relu ? 0.0f : -__builtin_inff());
    RESNET_NATIVE_UNROLL for (int v = 0; v < 4; ++v) {
      _mm512_mask_storeu_ps(y + 16 * v, static_cast<__mmask16>(stored >> 16 * v),
                            _mm512_max_ps(values[v], lowest));
    }
  }
}

void Avx512Finish(const Int8Finish& f) {
  if (f.residual) {
    FinishPixels<true>(f);
  } else {
    FinishPixels<false>(f);
  }
}

void Avx512CopyRows(const uint8_t* from, int64_t stride, int rows, int64_t bytes, uint8_t* to) {
  const int64_t whole = bytes / 64 * 64;
  const __mmask64 rest = (__mmask64{1} << (bytes - whole)) - 1;
  for (int row = 0; row < rows; ++row, from += stride, to += bytes) {
    for (int64_t i = 0; i < whole; i += 64) _mm512_storeu_si512(to + i, _mm512_loadu_si512(from + i));
    if (rest) _mm512_mask_storeu_epi8(to + whole, rest, _mm512_maskz_loadu_epi8(rest, from + whole));
  }
}

constexpr Int8Kernels MakeInt8KernelsAvx512(const char* isa, int max_pixels, void (*sums)(const Int8Tile&)) {
  Int8Kernels kernels = MakeInt8Kernels(isa, max_pixels, sums);
  kernels.finish = Avx512Finish;
  kernels.copy_rows = Avx512CopyRows;
  return kernels;
}

}  // namespace
}  // namespace resnet_native::cpu
