#pragma once

#include "native/backends/cpu/kernels/simd_neon.h"

// 4 floats in a NEON register, and what the extension BF16 adds.

namespace resnet_native::cpu {
namespace {

struct SimdNeonBf16 : SimdNeon {
  static constexpr const char* kIsa = "neon_bf16";

  static inline __attribute__((always_inline)) void StoreBfloat16(uint16_t* p, T v) { vst1_u16(p, Round(v)); }
  static inline __attribute__((always_inline)) void StoreBfloat16Partial(uint16_t* p, T v, int64_t count) {
    StoreHalves(p, Round(v), count);
  }

 private:
  static inline __attribute__((always_inline)) uint16x4_t Round(T v) {
    return vreinterpret_u16_bf16(vcvt_bf16_f32(v));
  }
};

}  // namespace
}  // namespace resnet_native::cpu
