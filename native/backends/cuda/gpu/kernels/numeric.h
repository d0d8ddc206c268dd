#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#define HOST_DEVICE __host__ __device__ __forceinline__
#define UNROLL _Pragma("unroll")
#define NO_UNROLL _Pragma("unroll 1")
#else
#define HOST_DEVICE inline
#define UNROLL
#define NO_UNROLL
#endif

// What a thread of a kernel computes with, on the GPU and, for tests, on the host: storage types, their
// conversions (one rounding, to nearest even) and loads of several elements at once.

namespace resnet_native::cuda {

// As stored; CUDA's own types of these names have no arithmetic that a host compiler could run.
struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};
// A byte of native/graph/quantization.h, less 128.
struct Byte {
  int8_t stored;
};

namespace host {

inline uint32_t BitsOf(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline float FloatOf(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

inline float ToFloat(Half x) {
  const uint32_t sign = (x.bits & 0x8000u) << 16, exponent = x.bits >> 10 & 31, mantissa = x.bits & 1023;
  if (exponent == 0) return FloatOf(sign | BitsOf(std::ldexp(static_cast<float>(mantissa), -24)));
  if (exponent == 31) return FloatOf(sign | 0x7f800000u | mantissa << 13);
  return FloatOf(sign | (exponent + 112) << 23 | mantissa << 13);
}

inline Half ToHalf(float x) {
  const uint32_t bits = BitsOf(x);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000u);
  const float magnitude = std::fabs(x);
  if (std::isnan(x)) return {0x7fff};
  if (magnitude >= 65520.0f) return {static_cast<uint16_t>(sign | 0x7c00u)};
  if (magnitude < 6.103515625e-05f) {  // subnormal: a multiple of 2^-24
    const auto units = static_cast<uint16_t>(std::nearbyint(std::ldexp(magnitude, 24)));
    return {static_cast<uint16_t>(sign | units)};
  }
  const uint32_t rounded = (bits & 0x7fffffffu) + 0xfffu + (bits >> 13 & 1u);
  return {static_cast<uint16_t>(sign | ((rounded >> 13) - (112u << 10)))};
}

// On a GPU such an access faults; so it does here, for the tests.
inline void CheckAligned(const void* address, size_t bytes) {
  if (reinterpret_cast<uintptr_t>(address) % bytes != 0) throw std::logic_error("misaligned access");
}

inline BFloat16 ToBFloat16(float x) {
  const uint32_t bits = BitsOf(x);
  if (std::isnan(x)) return {0x7fff};
  return {static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}

}  // namespace host

HOST_DEVICE float ToFloat(float x) { return x; }
HOST_DEVICE float ToFloat(int8_t x) { return x; }
HOST_DEVICE float ToFloat(uint8_t x) { return x; }
HOST_DEVICE float ToFloat(int32_t x) { return static_cast<float>(x); }
HOST_DEVICE int32_t Value(Byte x) { return int32_t{x.stored} + 128; }
HOST_DEVICE float ToFloat(Byte x) { return static_cast<float>(Value(x)); }
HOST_DEVICE float ToFloat(Half x) {
#if defined(__CUDA_ARCH__)
  return __half2float(__ushort_as_half(x.bits));
#else
  return host::ToFloat(x);
#endif
}
HOST_DEVICE float ToFloat(BFloat16 x) {
#if defined(__CUDA_ARCH__)
  return __bfloat162float(__ushort_as_bfloat16(x.bits));
#else
  return host::FloatOf(uint32_t{x.bits} << 16);
#endif
}

// To an integer: saturating, NaN to zero.
template <class To>
HOST_DEVICE To FromFloat(float x);
template <>
HOST_DEVICE float FromFloat<float>(float x) {
  return x;
}
template <>
HOST_DEVICE int8_t FromFloat<int8_t>(float x) {
  if (x != x) return 0;
  return static_cast<int8_t>(rintf(fminf(fmaxf(x, -128.0f), 127.0f)));
}
template <>
HOST_DEVICE Byte FromFloat<Byte>(float x) {
  const float positive = x > 0 ? x : 0.0f;  // NaN is not
  return {static_cast<int8_t>(static_cast<int>(rintf(fminf(positive, 255.0f))) - 128)};
}
template <>
HOST_DEVICE Half FromFloat<Half>(float x) {
#if defined(__CUDA_ARCH__)
  return {__half_as_ushort(__float2half_rn(x))};
#else
  return host::ToHalf(x);
#endif
}
template <>
HOST_DEVICE BFloat16 FromFloat<BFloat16>(float x) {
#if defined(__CUDA_ARCH__)
  return {__bfloat16_as_ushort(__float2bfloat16_rn(x))};
#else
  return host::ToBFloat16(x);
#endif
}

// What values of a type are added up in. Sums of bytes are exact.
template <class T>
struct Sums {
  using Type = float;
  HOST_DEVICE static float Of(T x) { return ToFloat(x); }
};
template <>
struct Sums<Byte> {
  using Type = int32_t;
  HOST_DEVICE static int32_t Of(Byte x) { return Value(x); }
};
template <class T>
using SumOf = typename Sums<T>::Type;

// NaN stays NaN, as in torch: a comparison with NaN is false.
HOST_DEVICE float Relu(float x) { return x < 0 ? 0.0f : x; }

// kWidth neighbouring elements, moved by one instruction of up to 16 bytes. The address is a multiple of
// their size.
template <class T, int kWidth>
struct alignas(sizeof(T) * kWidth) Pack {
  static_assert(sizeof(T) * kWidth <= 16, "no instruction moves more than 16 bytes");
  T values[kWidth];

  HOST_DEVICE T& operator[](int i) { return values[i]; }
  HOST_DEVICE const T& operator[](int i) const { return values[i]; }
};

// As many elements as 16 bytes hold.
template <class T>
inline constexpr int kPackWidth = 16 / sizeof(T);

// The compiler moves structures of 16-bit members by halves and quarters of what one instruction could, so
// the words that the hardware knows are named here.
template <int kBytes>
struct Word;
#if defined(__CUDACC__)
template <>
struct Word<16> {
  using Type = uint4;
};
template <>
struct Word<8> {
  using Type = uint2;
};
#endif
template <>
struct Word<4> {
  using Type = uint32_t;
};
template <>
struct Word<2> {
  using Type = uint16_t;
};
template <>
struct Word<1> {
  using Type = uint8_t;
};

template <int kWidth, class T>
HOST_DEVICE Pack<T, kWidth> Load(const T* from) {
  Pack<T, kWidth> pack;
#if defined(__CUDA_ARCH__)
  using Type = typename Word<sizeof(pack)>::Type;
  const Type word = *reinterpret_cast<const Type*>(from);
  memcpy(&pack, &word, sizeof(pack));
#else
  host::CheckAligned(from, sizeof(pack));
  std::memcpy(&pack, from, sizeof(pack));
#endif
  return pack;
}

template <int kWidth, class T>
HOST_DEVICE void Store(T* to, const Pack<T, kWidth>& pack) {
#if defined(__CUDA_ARCH__)
  using Type = typename Word<sizeof(pack)>::Type;
  Type word;
  memcpy(&word, &pack, sizeof(pack));
  *reinterpret_cast<Type*>(to) = word;
#else
  host::CheckAligned(to, sizeof(pack));
  std::memcpy(to, &pack, sizeof(pack));
#endif
}

}  // namespace resnet_native::cuda
