#pragma once

#include <cstdint>

// How the elements of a data type come from memory into a vector of floats and back, for the vector type V of
// a simd_*.h. The kernels are written over these, and so once for all data types.

namespace resnet_native::cpu {
namespace {

// A vector wider than the machine's registers is passed in memory: of no matter, since all of this is
// inlined.
#pragma GCC diagnostic ignored "-Wpsabi"

template <class V>
struct Float32Storage {
  using Simd = V;
  using T = typename V::T;
  using Element = float;

  static inline __attribute__((always_inline)) T Load(const float* p) { return V::Load(p); }
  static inline __attribute__((always_inline)) T LoadPartial(const float* p, int64_t count) {
    return V::LoadPartial(p, count);
  }
  static inline __attribute__((always_inline)) T Broadcast(const float* p) { return V::Broadcast(p); }
  static inline __attribute__((always_inline)) void Store(float* p, T v) { V::Store(p, v); }
  static inline __attribute__((always_inline)) void StorePartial(float* p, T v, int64_t count) {
    V::StorePartial(p, v, count);
  }
};

template <class V>
struct Bfloat16Storage {
  using Simd = V;
  using T = typename V::T;
  using Element = uint16_t;

  static inline __attribute__((always_inline)) T Load(const uint16_t* p) { return V::LoadBfloat16(p); }
  static inline __attribute__((always_inline)) T LoadPartial(const uint16_t* p, int64_t count) {
    return V::LoadBfloat16Partial(p, count);
  }
  static inline __attribute__((always_inline)) T Broadcast(const uint16_t* p) {
    const uint32_t bits = static_cast<uint32_t>(*p) << 16;
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return V::Broadcast(&value);
  }
  static inline __attribute__((always_inline)) void Store(uint16_t* p, T v) { V::StoreBfloat16(p, v); }
  static inline __attribute__((always_inline)) void StorePartial(uint16_t* p, T v, int64_t count) {
    V::StoreBfloat16Partial(p, v, count);
  }
};

}  // namespace
}  // namespace resnet_native::cpu
