#include "native/backends/cpu/kernels/int8_finish_avx512-inl.h"

namespace resnet_native::cpu {
namespace {

// Up to 6 pixels × 4 vectors of sums, 4 of weights and one of input: 29 of 32 registers.
template <int kCount, int kBlocks>
void SumsOfPixels(const Int8Tile& tile, int first) {
  __m512i sums[kCount][kBlocks];
  RESNET_NATIVE_UNROLL for (int i = 0; i < kCount; ++i) {
    RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) sums[i][b] = _mm512_setzero_si512();
  }
  const int64_t block = tile.steps * kInt8Panel;
  const int8_t* weights = tile.weights;
  const uint8_t* x = tile.x + first * tile.x_stride;
  for (int64_t step = 0; step < tile.steps; ++step, weights += kInt8Panel, x += 4) {
    __m512i w[kBlocks];
    RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) w[b] = _mm512_loadu_si512(weights + b * block);
    RESNET_NATIVE_UNROLL for (int i = 0; i < kCount; ++i) {
      int32_t bytes;
      __builtin_memcpy(&bytes, x + i * tile.x_stride, 4);
      const __m512i four = _mm512_set1_epi32(bytes);
      RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) {
        // As an intrinsic, gcc 12 lets sums wander between registers and spills them.
        asm("vpdpbusd %2, %1, %0" : "+v"(sums[i][b]) : "v"(four), "v"(w[b]));
      }
    }
  }
  RESNET_NATIVE_UNROLL for (int i = 0; i < kCount; ++i) {
    RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) {
      _mm512_store_si512(tile.sums + (first + i) * kInt8Panel + b * kInt8Block, sums[i][b]);
    }
  }
}

template <int kBlocks>
void SumsOfBlocks(const Int8Tile& tile) {
  ForEachPixels<6>(tile.pixels, [&]<int kCount>(int first) { SumsOfPixels<kCount, kBlocks>(tile, first); });
}

void Avx512VnniSums(const Int8Tile& tile) {
  switch (tile.blocks) {
    case 1:
      return SumsOfBlocks<1>(tile);
    case 2:
      return SumsOfBlocks<2>(tile);
    case 3:
      return SumsOfBlocks<3>(tile);
    default:
      return SumsOfBlocks<4>(tile);
  }
}

}  // namespace

constexpr Int8Kernels kInt8Avx512Vnni = MakeInt8KernelsAvx512("avx512-vnni", 30, Avx512VnniSums);

}  // namespace resnet_native::cpu
