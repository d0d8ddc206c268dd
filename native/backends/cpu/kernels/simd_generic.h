#pragma once

#include <cstdint>

// A vector of kWidth floats in terms of the compiler's vector extension, for any machine. With 4 lanes it is
// the portable row; with 16 the tests drive the tiling that is made for AVX-512 on machines that lack it.
//
// Every simd_*.h defines the same static functions:
//   T, kIsa, kLanes
//   Load, LoadPartial (count lanes, the others 0), Store, StorePartial, Broadcast (of one float in memory)
//   Zero, Add, Mul, MulAdd (a * b + c), Relu (NaN stays NaN), Max (NaN if either is)
//   LoadBytes, LoadBytesPartial: uint8 to float
//   LoadBfloat16, StoreBfloat16 (rounded to nearest even, NaN stays NaN) and their Partial
//   LowerHalf, UpperHalf: of each lane's bits, as the bfloat16 that it is
//   Index, LoadIndex (from the number of a lane for each), NextIndex (the lane behind each), Permute (lane i
//   becomes lane index[i])
//   Transpose: a block of kLanes × kLanes

namespace resnet_native::cpu {
namespace {

template <int kWidth>
struct FloatVector;
template <>
struct FloatVector<4> {
  typedef float T __attribute__((vector_size(16)));
  typedef uint32_t Bits __attribute__((vector_size(16)));
};
template <>
struct FloatVector<16> {
  typedef float T __attribute__((vector_size(64)));
  typedef uint32_t Bits __attribute__((vector_size(64)));
};

template <int kWidth>
struct SimdGeneric {
  static constexpr const char* kIsa = "scalar";
  static constexpr int kLanes = kWidth;
  using T = typename FloatVector<kWidth>::T;
  using Bits = typename FloatVector<kWidth>::Bits;
  using Index = Bits;

  static inline __attribute__((always_inline)) T Zero() { return T{}; }
  static inline __attribute__((always_inline)) T Load(const float* p) {
    T v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
  }
  static inline __attribute__((always_inline)) T LoadPartial(const float* p, int64_t count) {
    T v = Zero();
    for (int64_t i = 0; i < count; ++i) v[i] = p[i];
    return v;
  }
  static inline __attribute__((always_inline)) void Store(float* p, T v) {
    __builtin_memcpy(p, &v, sizeof v);
  }
  static inline __attribute__((always_inline)) void StorePartial(float* p, T v, int64_t count) {
    for (int64_t i = 0; i < count; ++i) p[i] = v[i];
  }
  static inline __attribute__((always_inline)) T Broadcast(const float* p) {
    T v;
    for (int i = 0; i < kWidth; ++i) v[i] = *p;
    return v;
  }
  static inline __attribute__((always_inline)) T Add(T a, T b) { return a + b; }
  static inline __attribute__((always_inline)) T Mul(T a, T b) { return a * b; }
  static inline __attribute__((always_inline)) T MulAdd(T a, T b, T c) { return a * b + c; }
  static inline __attribute__((always_inline)) T Relu(T v) { return v < Zero() ? Zero() : v; }
  static inline __attribute__((always_inline)) T Max(T a, T b) { return (a > b) | (a != a) ? a : b; }

  static inline __attribute__((always_inline)) T LoadBytes(const uint8_t* p) {
    return LoadBytesPartial(p, kWidth);
  }
  static inline __attribute__((always_inline)) T LoadBytesPartial(const uint8_t* p, int64_t count) {
    T v = Zero();
    for (int64_t i = 0; i < count; ++i) v[i] = p[i];
    return v;
  }

  // Each lane's bits as the two bfloat16 that they are.
  static inline __attribute__((always_inline)) T LowerHalf(T v) {
    Bits bits = (Bits)v << 16;
    return (T)bits;
  }
  static inline __attribute__((always_inline)) T UpperHalf(T v) {
    Bits bits = (Bits)v & 0xffff0000u;
    return (T)bits;
  }
  static inline __attribute__((always_inline)) T LoadBfloat16(const uint16_t* p) {
    return LoadBfloat16Partial(p, kWidth);
  }
  static inline __attribute__((always_inline)) T LoadBfloat16Partial(const uint16_t* p, int64_t count) {
    Bits bits = {};
    for (int64_t i = 0; i < count; ++i) bits[i] = static_cast<uint32_t>(p[i]) << 16;
    return (T)bits;
  }
  static inline __attribute__((always_inline)) void StoreBfloat16(uint16_t* p, T v) {
    StoreBfloat16Partial(p, v, kWidth);
  }
  static inline __attribute__((always_inline)) void StoreBfloat16Partial(uint16_t* p, T v, int64_t count) {
    const Bits bits = (Bits)v, rounded = bits + 0x7fff + ((bits >> 16) & 1);
    for (int64_t i = 0; i < count; ++i) {
      p[i] = static_cast<uint16_t>(v[i] == v[i] ? rounded[i] >> 16 : bits[i] >> 16 | 0x40);
    }
  }

  static inline __attribute__((always_inline)) Index LoadIndex(const int32_t* p) {
    Index index;
    __builtin_memcpy(&index, p, sizeof index);
    return index;
  }
  static inline __attribute__((always_inline)) Index NextIndex(Index index) { return index + 1; }
  static inline __attribute__((always_inline)) T Permute(T v, Index index) {
    T result;
    for (int i = 0; i < kWidth; ++i) result[i] = v[index[i]];
    return result;
  }

  static inline void Transpose(const float* x, int64_t x_stride, float* y, int64_t y_stride) {
    for (int r = 0; r < kWidth; ++r) {
      for (int c = 0; c < kWidth; ++c) y[c * y_stride + r] = x[r * x_stride + c];
    }
  }
};

}  // namespace
}  // namespace resnet_native::cpu
