#pragma once

#include <bit>
#include <cstdint>

#include "native/bfloat16.h"
#include "native/tensor.h"

// Float16 on the host: how weights are rounded and widened, and what the simulated device computes in.

namespace resnet_native {

// The nearest, ties to even; beyond 65519 it is infinity. Infinities stay, NaN stays NaN.
inline uint16_t ToFloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint16_t sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Below 2^-14: a float that adds 0.5 has the last bit of a subnormal half as its own last bit, and rounds
    // there.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return sign | static_cast<uint16_t>(std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(0.5f));
  }
  const uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
  return sign | static_cast<uint16_t>((rounded - 0x38000000) >> 13);
}

inline float FromFloat16(uint16_t bits) {
  const uint32_t sign = uint32_t{bits} << 16 & 0x80000000;
  const uint32_t magnitude = bits & 0x7fff;
  uint32_t result;
  if (magnitude >= 0x7c00) {
    result = magnitude << 13 | 0x7f800000;  // infinity and NaN
  } else if (magnitude >= 0x0400) {
    result = (magnitude << 13) + 0x38000000;
  } else {
    result = std::bit_cast<uint32_t>(static_cast<float>(magnitude) * 0x1p-24f);
  }
  return std::bit_cast<float>(sign | result);
}

// One value as it is stored: float32 (tf32 too), float16 or bfloat16.
inline float LoadAs(DType dtype, const void* data, int64_t i) {
  if (dtype == DType::kFloat16) return FromFloat16(static_cast<const uint16_t*>(data)[i]);
  if (dtype == DType::kBfloat16) return FromBfloat16(static_cast<const uint16_t*>(data)[i]);
  return static_cast<const float*>(data)[i];
}

inline void StoreAs(DType dtype, void* data, int64_t i, float value) {
  if (dtype == DType::kFloat16) {
    static_cast<uint16_t*>(data)[i] = ToFloat16(value);
  } else if (dtype == DType::kBfloat16) {
    static_cast<uint16_t*>(data)[i] = ToBfloat16(value);
  } else {
    static_cast<float*>(data)[i] = value;
  }
}

}  // namespace resnet_native
