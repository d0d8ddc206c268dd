#include "native/backends/cpu/kernels/int8_neon-inl.h"

namespace resnet_native::cpu {
namespace {

// Eight products of signed bytes; two such, of weights that are never -128, fit in 16 bits. Pairs of them are
// then added to four sums in 32 bits: two of each of two channels.
template <int kCount>
void SumsOfPixels(const Int8Tile& tile, int block, int first) {
  const int8_t* w = tile.weights + block * tile.steps * kInt8Panel;
  const uint8_t* x = tile.x + first * tile.x_stride;
  int32x4_t sums[kCount][8] = {};
  for (int64_t step = 0; step < tile.steps; step += 2) {
    const bool two = step + 1 < tile.steps;
    int8x16_t x0[kCount], x1[kCount];
    RESNET_NATIVE_UNROLL for (int i = 0; i < kCount; ++i) {
      const uint8_t* pixel = x + i * tile.x_stride + 4 * step;
      x0[i] = MinusOffset(vreinterpretq_u8_u32(BroadcastFour(pixel)));
      x1[i] = two ? MinusOffset(vreinterpretq_u8_u32(BroadcastFour(pixel + 4))) : vdupq_n_s8(0);
    }
    const int8_t* w1 = two ? w + kInt8Panel : w;
    RESNET_NATIVE_UNROLL for (int v = 0; v < 4; ++v) {
      const int8x16_t a = vld1q_s8(w + 16 * v), b = vld1q_s8(w1 + 16 * v);
      RESNET_NATIVE_UNROLL for (int i = 0; i < kCount; ++i) {
        int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(x0[i]));
        int16x8_t high = vmull_high_s8(a, x0[i]);
        low = vmlal_s8(low, vget_low_s8(b), vget_low_s8(x1[i]));
        high = vmlal_high_s8(high, b, x1[i]);
        sums[i][2 * v] = vpadalq_s16(sums[i][2 * v], low);
        sums[i][2 * v + 1] = vpadalq_s16(sums[i][2 * v + 1], high);
      }
    }
    w += 2 * kInt8Panel;
  }
  RESNET_NATIVE_UNROLL for (int v = 0; v < 4; ++v) {
    const int channel = block * kInt8Block + 4 * v;
    RESNET_NATIVE_UNROLL for (int i = 0; i < kCount; ++i) {
      vst1q_s32(tile.sums + (first + i) * kInt8Panel + channel,
                vaddq_s32(vpaddq_s32(sums[i][2 * v], sums[i][2 * v + 1]), OffsetSums(tile, channel)));
    }
  }
}

void NeonSums(const Int8Tile& tile) {
  ForEachBlockOfPixels<2>(
      tile, [&]<int kCount>(int block, int first) { SumsOfPixels<kCount>(tile, block, first); });
}

}  // namespace

constexpr Int8Kernels kInt8Neon = MakeInt8KernelsNeon("neon", 32, NeonSums);

}  // namespace resnet_native::cpu
