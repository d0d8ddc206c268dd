#include "native/backends/cpu/kernels/int8_neon-inl.h"

namespace resnet_native::cpu {
namespace {

constexpr int kDepth = 8;

// The matrix instruction: sums of two pixels × two channels, over eight products of unsigned × signed bytes.
inline __attribute__((always_inline)) void AddProducts(int32x4_t& sum, uint8x16_t x, int8x16_t weights) {
  // As an intrinsic, gcc 12 lets sums wander between registers and spills them.
  asm("usmmla %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(x), "w"(weights));
}

// Up to 6 pixels × 16 channels: three pairs of pixels × eight of channels, 24 vectors of sums. A pixel alone
// is a pair with itself.
template <int kCount>
void SumsOfPixels(const Int8Tile& tile, int block, int first) {
  constexpr int kPairs = (kCount + 1) / 2;
  const int64_t next = kCount > 1 ? tile.x_stride : 0;
  const int8_t* w = tile.weights + block * tile.steps * (kInt8Block * kDepth);
  const uint8_t* x = tile.x + first * tile.x_stride;
  int32x4_t sums[kPairs][8] = {};
  for (int64_t step = 0; step < tile.steps; ++step, x += kDepth, w += kInt8Block * kDepth) {
    uint8x16_t channels[kPairs];
    RESNET_NATIVE_UNROLL for (int i = 0; i < kPairs; ++i) {
      const uint8_t* pixel = x + 2 * i * tile.x_stride;
      channels[i] = vcombine_u8(vld1_u8(pixel), vld1_u8(pixel + next));
    }
    RESNET_NATIVE_UNROLL for (int v = 0; v < 8; ++v) {
      const int8x16_t weights = vld1q_s8(w + 16 * v);
      RESNET_NATIVE_UNROLL for (int i = 0; i < kPairs; ++i) AddProducts(sums[i][v], channels[i], weights);
    }
  }
  RESNET_NATIVE_UNROLL for (int i = 0; i < kPairs; ++i) {
    int32_t* to = tile.sums + (first + 2 * i) * kInt8Panel + block * kInt8Block;
    RESNET_NATIVE_UNROLL for (int v = 0; v < 8; v += 2) {
      const int64x2_t a = vreinterpretq_s64_s32(sums[i][v]), b = vreinterpretq_s64_s32(sums[i][v + 1]);
      vst1q_s32(to + 2 * v, vreinterpretq_s32_s64(vzip1q_s64(a, b)));
      if (kCount > 1) vst1q_s32(to + kInt8Panel + 2 * v, vreinterpretq_s32_s64(vzip2q_s64(a, b)));
    }
  }
}

void NeonI8mmSums(const Int8Tile& tile) {
  ForEachBlockOfPixels<6>(
      tile, [&]<int kCount>(int block, int first) { SumsOfPixels<kCount>(tile, block, first); });
}

}  // namespace

constexpr Int8Kernels kInt8NeonI8mm = MakeInt8KernelsNeon("neon-i8mm", 30, NeonI8mmSums, kDepth);

}  // namespace resnet_native::cpu
