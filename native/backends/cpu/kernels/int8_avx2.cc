#include <immintrin.h>

#include "native/backends/cpu/kernels/int8_plain-inl.h"

namespace resnet_native::cpu {
namespace {

// Products of bytes are added up in 16 bits by the instruction that takes bytes, and saturate there. So both
// factors become 16 bits first: a vector then holds 4 channels × 4 products, which are added in pairs.
template <int kCount>
void SumsOfPixels(const Int8Tile& tile, int block, int first) {
  const int8_t* w = tile.weights + block * tile.steps * kInt8Panel;
  const uint8_t* x = tile.x + first * tile.x_stride;
  __m256i sums[kCount][4];
  RESNET_NATIVE_UNROLL for (int i = 0; i < kCount; ++i) {
    RESNET_NATIVE_UNROLL for (int v = 0; v < 4; ++v) sums[i][v] = _mm256_setzero_si256();
  }
  for (int64_t step = 0; step < tile.steps; ++step, w += kInt8Panel, x += 4) {
    __m256i factors[kCount];
    RESNET_NATIVE_UNROLL for (int i = 0; i < kCount; ++i) {
      int32_t four;
      __builtin_memcpy(&four, x + i * tile.x_stride, 4);
      factors[i] = _mm256_broadcastq_epi64(_mm_cvtepu8_epi16(_mm_cvtsi32_si128(four)));
    }
    RESNET_NATIVE_UNROLL for (int v = 0; v < 4; ++v) {
      const __m256i weights =
          _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w + 16 * v)));
      RESNET_NATIVE_UNROLL for (int i = 0; i < kCount; ++i) {
        sums[i][v] = _mm256_add_epi32(sums[i][v], _mm256_madd_epi16(factors[i], weights));
      }
    }
  }
  RESNET_NATIVE_UNROLL for (int i = 0; i < kCount; ++i) {
    int32_t* to = tile.sums + (first + i) * kInt8Panel + block * kInt8Block;
    RESNET_NATIVE_UNROLL for (int v = 0; v < 4; v += 2) {
      // Of the halves of two vectors: channels 0 1 4 5 | 2 3 6 7.
      const __m256i pairs = _mm256_hadd_epi32(sums[i][v], sums[i][v + 1]);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 4 * v), _mm256_permute4x64_epi64(pairs, 0xd8));
    }
  }
}

void Avx2Sums(const Int8Tile& tile) {
  ForEachBlockOfPixels<2>(
      tile, [&]<int kCount>(int block, int first) { SumsOfPixels<kCount>(tile, block, first); });
}

}  // namespace

constexpr Int8Kernels kInt8Avx2 = MakeInt8Kernels("avx2", 32, Avx2Sums);

}  // namespace resnet_native::cpu
