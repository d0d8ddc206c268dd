#include "native/backends/cpu/kernels/int8_neon-inl.h"

namespace resnet_native::cpu {
namespace {

template <int kLane>
inline __attribute__((always_inline)) void AddDots(int32x4_t& sum, int8x16_t weights, int8x16_t x) {
  // As an intrinsic, gcc 12 lets sums wander between registers and spills them.
  asm("sdot %0.4s, %1.16b, %2.4b[%3]" : "+w"(sum) : "w"(weights), "w"(x), "n"(kLane));
}

// One step: four channels, those of a lane, of each pixel.
template <int kLane, int kCount>
inline __attribute__((always_inline)) void AddStep(const int8_t* weights, const int8x16_t (&x)[kCount],
                                                   int32x4_t (&sums)[kCount][4]) {
  RESNET_NATIVE_UNROLL for (int v = 0; v < 4; ++v) {
    const int8x16_t w = vld1q_s8(weights + 16 * v);
    RESNET_NATIVE_UNROLL for (int i = 0; i < kCount; ++i) AddDots<kLane>(sums[i][v], w, x[i]);
  }
}

// Up to 6 pixels × 16 channels are 24 vectors of sums. Every load of 16 channels of a pixel serves four
// steps.
template <int kCount>
void SumsOfPixels(const Int8Tile& tile, int block, int first) {
  const int8_t* w = tile.weights + block * tile.steps * kInt8Panel;
  const uint8_t* x = tile.x + first * tile.x_stride;
  int32x4_t sums[kCount][4];
  RESNET_NATIVE_UNROLL for (int v = 0; v < 4; ++v) {
    const int32x4_t start = OffsetSums(tile, block * kInt8Block + 4 * v);
    RESNET_NATIVE_UNROLL for (int i = 0; i < kCount; ++i) sums[i][v] = start;
  }
  int8x16_t channels[kCount];
  int64_t left = tile.steps;
  for (; left >= 4; left -= 4, x += 16, w += 4 * kInt8Panel) {
    RESNET_NATIVE_UNROLL for (int i = 0; i < kCount; ++i) {
      channels[i] = MinusOffset(vld1q_u8(x + i * tile.x_stride));
    }
    AddStep<0>(w, channels, sums);
    AddStep<1>(w + kInt8Panel, channels, sums);
    AddStep<2>(w + 2 * kInt8Panel, channels, sums);
    AddStep<3>(w + 3 * kInt8Panel, channels, sums);
  }
  for (; left > 0; --left, x += 4, w += kInt8Panel) {
    RESNET_NATIVE_UNROLL for (int i = 0; i < kCount; ++i) {
      channels[i] = MinusOffset(vreinterpretq_u8_u32(BroadcastFour(x + i * tile.x_stride)));
    }
    AddStep<0>(w, channels, sums);
  }
  RESNET_NATIVE_UNROLL for (int i = 0; i < kCount; ++i) {
    RESNET_NATIVE_UNROLL for (int v = 0; v < 4; ++v) {
      vst1q_s32(tile.sums + (first + i) * kInt8Panel + block * kInt8Block + 4 * v, sums[i][v]);
    }
  }
}

void NeonDotSums(const Int8Tile& tile) {
  ForEachBlockOfPixels<6>(
      tile, [&]<int kCount>(int block, int first) { SumsOfPixels<kCount>(tile, block, first); });
}

}  // namespace

constexpr Int8Kernels kInt8NeonDot = MakeInt8KernelsNeon("neon-dotprod", 30, NeonDotSums);

}  // namespace resnet_native::cpu
