#include <arm_neon.h>

#include "native/backends/cpu/kernels/int8_plain-inl.h"

// What the int8 kernels of NEON share: signed factors, and what follows the sums, 16 channels at a time.

namespace resnet_native::cpu {
namespace {

// Instructions that multiply signed bytes only take x - 128, which is x with the highest bit turned over;
// their sums begin with what that leaves out: 128 × the sum of each channel's weights.
inline __attribute__((always_inline)) int8x16_t MinusOffset(uint8x16_t x) {
  return vreinterpretq_s8_u8(veorq_u8(x, vdupq_n_u8(0x80)));
}
inline __attribute__((always_inline)) int32x4_t OffsetSums(const Int8Tile& tile, int channel) {
  return vshlq_n_s32(vld1q_s32(tile.weight_sums + channel), 7);
}

inline __attribute__((always_inline)) uint32x4_t BroadcastFour(const uint8_t* p) {
  return vld1q_dup_u32(reinterpret_cast<const uint32_t*>(p));
}

template <class T>
inline __attribute__((always_inline)) void CopySome(const T* from, int count, T* to) {
  for (int i = 0; i < count; ++i) to[i] = from[i];
}

inline __attribute__((always_inline)) void AddResidual(uint8x16_t bytes, float scale, float32x4_t (&y)[4]) {
  const uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
  y[0] = vfmaq_n_f32(y[0], vcvtq_f32_u32(vmovl_u16(vget_low_u16(low))), scale);
  y[1] = vfmaq_n_f32(y[1], vcvtq_f32_u32(vmovl_high_u16(low)), scale);
  y[2] = vfmaq_n_f32(y[2], vcvtq_f32_u32(vmovl_u16(vget_low_u16(high))), scale);
  y[3] = vfmaq_n_f32(y[3], vcvtq_f32_u32(vmovl_high_u16(high)), scale);
}

// The conversion rounds to nearest even and makes 0 of NaN and of what is negative; narrowing clamps at 255.
inline __attribute__((always_inline)) uint8x16_t ToBytes(const float32x4_t (&y)[4]) {
  const uint16x4_t low = vqmovn_u32(vcvtnq_u32_f32(y[0])), high = vqmovn_u32(vcvtnq_u32_f32(y[2]));
  return vqmovn_high_u16(vqmovn_u16(vqmovn_high_u32(low, vcvtnq_u32_f32(y[1]))),
                         vqmovn_high_u32(high, vcvtnq_u32_f32(y[3])));
}

// 16 channels of a pixel; `stored` of them are there.
inline __attribute__((always_inline)) void FinishBlock(const Int8Finish& f, int pixel, int channel,
                                                       int stored) {
  const int64_t offset = pixel * f.y_stride + channel;
  float32x4_t y[4];
  RESNET_NATIVE_UNROLL for (int v = 0; v < 4; ++v) {
    const int c = channel + 4 * v;
    const float32x4_t sum = vcvtq_f32_s32(vld1q_s32(f.sums + pixel * kInt8Panel + c));
    y[v] = vfmaq_f32(vld1q_f32(f.offset + c), sum, vld1q_f32(f.multiplier + c));
  }
  const bool whole = stored == kInt8Block;
  if (f.residual) {
    uint8_t some[kInt8Block] = {};
    if (!whole) CopySome(f.residual + offset, stored, some);
    AddResidual(vld1q_u8(whole ? f.residual + offset : some), f.residual_multiplier, y);
  }
  if (f.to_bytes) {
    uint8_t some[kInt8Block];
    auto* to = static_cast<uint8_t*>(f.y) + offset;
    vst1q_u8(whole ? to : some, ToBytes(y));
    if (!whole) CopySome(some, stored, to);
  } else {
    float some[kInt8Block];
    auto* to = static_cast<float*>(f.y) + offset;
    const float32x4_t lowest = vdupq_n_f32(f.relu ? 0.0f : -__builtin_inff());
    RESNET_NATIVE_UNROLL for (int v = 0; v < 4; ++v) {
      vst1q_f32((whole ? to : some) + 4 * v, vmaxq_f32(y[v], lowest));
    }
    if (!whole) CopySome(some, stored, to);
  }
}

void NeonFinish(const Int8Finish& f) {
  for (int i = 0; i < f.pixels; ++i) {
    int c = 0;
    for (; c + kInt8Block <= f.channels; c += kInt8Block) FinishBlock(f, i, c, kInt8Block);
    if (c < f.channels) FinishBlock(f, i, c, f.channels - c);
  }
}

constexpr Int8Kernels MakeInt8KernelsNeon(const char* isa, int max_pixels, void (*sums)(const Int8Tile&),
                                          int depth = 4) {
  Int8Kernels kernels = MakeInt8Kernels(isa, max_pixels, sums, depth);
  kernels.finish = NeonFinish;
  return kernels;
}

}  // namespace
}  // namespace resnet_native::cpu
