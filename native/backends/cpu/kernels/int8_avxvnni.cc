#include <immintrin.h>

#include "native/backends/cpu/kernels/int8_plain-inl.h"

namespace resnet_native::cpu {
namespace {

// Up to 5 pixels × 16 channels: 10 vectors of sums, two of weights and one of input, of 16 registers.
template <int kCount>
void SumsOfPixels(const Int8Tile& tile, int block, int first) {
  const int8_t* w = tile.weights + block * tile.steps * kInt8Panel;
  const uint8_t* x = tile.x + first * tile.x_stride;
  __m256i sums[kCount][2];
  RESNET_NATIVE_UNROLL for (int i = 0; i < kCount; ++i) sums[i][0] = sums[i][1] = _mm256_setzero_si256();
  for (int64_t step = 0; step < tile.steps; ++step, w += kInt8Panel, x += 4) {
    const __m256i w0 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w));
    const __m256i w1 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + 32));
    RESNET_NATIVE_UNROLL for (int i = 0; i < kCount; ++i) {
      const __m256i four =
          _mm256_castps_si256(_mm256_broadcast_ss(reinterpret_cast<const float*>(x + i * tile.x_stride)));
      asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sums[i][0]) : "x"(four), "x"(w0));
      asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sums[i][1]) : "x"(four), "x"(w1));
    }
  }
  RESNET_NATIVE_UNROLL for (int i = 0; i < kCount; ++i) {
    int32_t* to = tile.sums + (first + i) * kInt8Panel + block * kInt8Block;
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), sums[i][0]);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 8), sums[i][1]);
  }
}

void AvxVnniSums(const Int8Tile& tile) {
  ForEachBlockOfPixels<5>(
      tile, [&]<int kCount>(int block, int first) { SumsOfPixels<kCount>(tile, block, first); });
}

}  // namespace

constexpr Int8Kernels kInt8AvxVnni = MakeInt8Kernels("avx-vnni", 30, AvxVnniSums);

}  // namespace resnet_native::cpu
