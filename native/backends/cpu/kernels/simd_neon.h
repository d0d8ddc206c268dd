#pragma once

#include <arm_neon.h>

#include <cstdint>

// 4 floats in a NEON register of AArch64. What the functions do is said in simd_generic.h. A part of a vector
// is 1 to 3 lanes.

namespace resnet_native::cpu {
namespace {

struct SimdNeon {
  static constexpr const char* kIsa = "neon";
  static constexpr int kLanes = 4;
  using T = float32x4_t;
  using Index = uint8x16_t;

  static inline __attribute__((always_inline)) T Zero() { return vdupq_n_f32(0.0f); }
  static inline __attribute__((always_inline)) T Load(const float* p) { return vld1q_f32(p); }
  static inline __attribute__((always_inline)) T LoadPartial(const float* p, int64_t count) {
    if (count == 1) return vld1q_lane_f32(p, Zero(), 0);
    const T two = vcombine_f32(vld1_f32(p), vdup_n_f32(0.0f));
    return count == 2 ? two : vld1q_lane_f32(p + 2, two, 2);
  }
  static inline __attribute__((always_inline)) void Store(float* p, T v) { vst1q_f32(p, v); }
  static inline __attribute__((always_inline)) void StorePartial(float* p, T v, int64_t count) {
    if (count == 1) return vst1q_lane_f32(p, v, 0);
    vst1_f32(p, vget_low_f32(v));
    if (count == 3) vst1q_lane_f32(p + 2, v, 2);
  }
  static inline __attribute__((always_inline)) T Broadcast(const float* p) { return vld1q_dup_f32(p); }
  static inline __attribute__((always_inline)) T Add(T a, T b) { return vaddq_f32(a, b); }
  static inline __attribute__((always_inline)) T Mul(T a, T b) { return vmulq_f32(a, b); }
  static inline __attribute__((always_inline)) T MulAdd(T a, T b, T c) { return vfmaq_f32(c, a, b); }
  // These instructions return NaN if either operand is NaN.
  static inline __attribute__((always_inline)) T Relu(T v) { return vmaxq_f32(v, Zero()); }
  static inline __attribute__((always_inline)) T Max(T a, T b) { return vmaxq_f32(a, b); }

  static inline __attribute__((always_inline)) T LoadBytes(const uint8_t* p) {
    uint32_t bytes;
    __builtin_memcpy(&bytes, p, sizeof bytes);
    return FromBytes(bytes);
  }
  static inline __attribute__((always_inline)) T LoadBytesPartial(const uint8_t* p, int64_t count) {
    uint32_t bytes = p[0];
    if (count > 1) bytes |= static_cast<uint32_t>(p[1]) << 8;
    if (count > 2) bytes |= static_cast<uint32_t>(p[2]) << 16;
    return FromBytes(bytes);
  }

  static inline __attribute__((always_inline)) T LowerHalf(T v) {
    return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(v), 16));
  }
  static inline __attribute__((always_inline)) T UpperHalf(T v) {
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(v), vdupq_n_u32(0xffff0000u)));
  }
  static inline __attribute__((always_inline)) T LoadBfloat16(const uint16_t* p) {
    return Widen(vld1_u16(p));
  }
  static inline __attribute__((always_inline)) T LoadBfloat16Partial(const uint16_t* p, int64_t count) {
    uint16x4_t halves = vld1_lane_u16(p, vdup_n_u16(0), 0);
    if (count > 1) halves = vld1_lane_u16(p + 1, halves, 1);
    if (count > 2) halves = vld1_lane_u16(p + 2, halves, 2);
    return Widen(halves);
  }
  static inline __attribute__((always_inline)) void StoreBfloat16(uint16_t* p, T v) {
    vst1_u16(p, ToBfloat16(v));
  }
  static inline __attribute__((always_inline)) void StoreBfloat16Partial(uint16_t* p, T v, int64_t count) {
    StoreHalves(p, ToBfloat16(v), count);
  }

  // Of bytes: those of lane i are 4 i … 4 i + 3.
  static inline __attribute__((always_inline)) Index LoadIndex(const int32_t* p) {
    const uint32x4_t lanes = vreinterpretq_u32_s32(vld1q_s32(p));
    return vreinterpretq_u8_u32(vmlaq_n_u32(vdupq_n_u32(0x03020100), lanes, 0x04040404));
  }
  static inline __attribute__((always_inline)) Index NextIndex(Index index) {
    return vaddq_u8(index, vdupq_n_u8(4));
  }
  static inline __attribute__((always_inline)) T Permute(T v, Index index) {
    return vreinterpretq_f32_u8(vqtbl1q_u8(vreinterpretq_u8_f32(v), index));
  }

  static inline void Transpose(const float* x, int64_t x_stride, float* y, int64_t y_stride) {
    const float32x4x2_t low = vtrnq_f32(Load(x), Load(x + x_stride));
    const float32x4x2_t high = vtrnq_f32(Load(x + 2 * x_stride), Load(x + 3 * x_stride));
    Store(y, vcombine_f32(vget_low_f32(low.val[0]), vget_low_f32(high.val[0])));
    Store(y + y_stride, vcombine_f32(vget_low_f32(low.val[1]), vget_low_f32(high.val[1])));
    Store(y + 2 * y_stride, vcombine_f32(vget_high_f32(low.val[0]), vget_high_f32(high.val[0])));
    Store(y + 3 * y_stride, vcombine_f32(vget_high_f32(low.val[1]), vget_high_f32(high.val[1])));
  }

 protected:
  static inline __attribute__((always_inline)) void StoreHalves(uint16_t* p, uint16x4_t halves,
                                                                int64_t count) {
    vst1_lane_u16(p, halves, 0);
    if (count > 1) vst1_lane_u16(p + 1, halves, 1);
    if (count > 2) vst1_lane_u16(p + 2, halves, 2);
  }

 private:
  static inline __attribute__((always_inline)) T Widen(uint16x4_t halves) {
    return vreinterpretq_f32_u32(vshll_n_u16(halves, 16));
  }
  static inline __attribute__((always_inline)) uint16x4_t ToBfloat16(T v) {
    const uint32x4_t bits = vreinterpretq_u32_f32(v);
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
    return vshrn_n_u32(vbslq_u32(vceqq_f32(v, v), rounded, quiet), 16);
  }
  static inline __attribute__((always_inline)) T FromBytes(uint32_t bytes) {
    const uint16x8_t halves = vmovl_u8(vcreate_u8(bytes));
    return vcvtq_f32_u32(vmovl_u16(vget_low_u16(halves)));
  }
};

}  // namespace
}  // namespace resnet_native::cpu
