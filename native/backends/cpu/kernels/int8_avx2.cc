#include <immintrin.h>

#include "native/backends/cpu/kernels/int8_plain-inl.h"

namespace resnet_native::cpu {
namespace {

constexpr int kPixels = 2;

// Products of bytes are added up in 16 bits by the instruction that takes bytes, and saturate there. So both
// factors become 16 bits first: a vector then holds 4 channels × 4 products, which are added in pairs.
template <int kCount>
void SumsOfPixels(const Int8Tile& tile, int first) {
  for (int b = 0; b < tile.blocks; ++b) {
    const int8_t* w = tile.weights + b * tile.steps * kInt8Panel;
    __m256i sums[kCount][4];
    for (int i = 0; i < kCount; ++i) {
      for (int v = 0; v < 4; ++v) sums[i][v] = _mm256_setzero_si256();
    }
    for (int64_t step = 0; step < tile.steps; ++step, w += kInt8Panel) {
      __m256i x[kCount];
      for (int i = 0; i < kCount; ++i) {
        const uint8_t* pixel = tile.x + (first + i) * tile.x_stride + 4 * step;
        int32_t four;
        __builtin_memcpy(&four, pixel, 4);
        x[i] = _mm256_broadcastq_epi64(_mm_cvtepu8_epi16(_mm_cvtsi32_si128(four)));
      }
      for (int v = 0; v < 4; ++v) {
        const __m256i weights =
            _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w + 16 * v)));
        for (int i = 0; i < kCount; ++i) {
          sums[i][v] = _mm256_add_epi32(sums[i][v], _mm256_madd_epi16(x[i], weights));
        }
      }
    }
    for (int i = 0; i < kCount; ++i) {
      int32_t* to = tile.sums + (first + i) * kInt8Panel + b * kInt8Block;
      for (int v = 0; v < 4; v += 2) {
        // Of the halves of two vectors: channels 0 1 4 5 | 2 3 6 7.
        const __m256i pairs = _mm256_hadd_epi32(sums[i][v], sums[i][v + 1]);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 4 * v), _mm256_permute4x64_epi64(pairs, 0xd8));
      }
    }
  }
}

void Avx2Sums(const Int8Tile& tile) {
  int i = 0;
  for (; i + kPixels <= tile.pixels; i += kPixels) SumsOfPixels<kPixels>(tile, i);
  if (i < tile.pixels) SumsOfPixels<1>(tile, i);
}

}  // namespace

constexpr Int8Kernels kInt8Avx2 = MakeInt8Kernels("avx2", 32, Avx2Sums);

}  // namespace resnet_native::cpu
