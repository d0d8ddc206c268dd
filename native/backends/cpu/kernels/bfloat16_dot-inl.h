#include "native/backends/cpu/kernels/conv_kernels-inl.h"

// How pairs of bfloat16 are multiplied and summed in float (a Dot of conv_kernels-inl.h).

namespace resnet_native::cpu {
namespace {

// One pair, or one element and a zero, as the bits of a float in each lane.
template <class V>
inline __attribute__((always_inline)) typename V::T BroadcastPair(const uint16_t* p, int64_t count) {
  uint32_t bits = *p;
  if (count > 1) __builtin_memcpy(&bits, p, sizeof bits);
  float word;
  __builtin_memcpy(&word, &bits, sizeof word);
  return V::Broadcast(&word);
}

// For machines without instructions for bfloat16: both of a pair are widened, and take a multiply-add each.
template <class V>
struct WidenedBfloat16Dot : StretchInMemory<uint16_t> {
  using Simd = V;
  using Storage = Bfloat16Storage<V>;
  using T = typename V::T;
  struct Pair {
    T first, second;
  };
  using Weight = uint16_t;
  using Weights = Pair;
  static constexpr int kDepth = 2;
  static constexpr bool kResumes = false;

  static inline __attribute__((always_inline)) Pair LoadWeights(const uint16_t* p) {
    return Widen(V::Load(reinterpret_cast<const float*>(p)));
  }
  static inline __attribute__((always_inline)) Pair Broadcast(const uint16_t* const* x, int64_t channel,
                                                              int64_t left) {
    return Widen(BroadcastPair<V>(*x + channel, left));
  }
  template <int k>
  static inline __attribute__((always_inline)) Pair FactorOf(const uint16_t* x) {
    return Widen(BroadcastPair<V>(x + k * kDepth, kDepth));
  }
  static inline __attribute__((always_inline)) T MulAdd(Pair factor, Pair weights, T sum) {
    return V::MulAdd(factor.second, weights.second, V::MulAdd(factor.first, weights.first, sum));
  }

 private:
  static inline __attribute__((always_inline)) Pair Widen(T words) {
    return {V::LowerHalf(words), V::UpperHalf(words)};
  }
};

// For a V that multiplies pairs itself: DotBfloat16(a, b, sum).
template <class V>
struct Bfloat16Dot : StretchInMemory<uint16_t> {
  using Simd = V;
  using Storage = Bfloat16Storage<V>;
  using T = typename V::T;
  using Weight = uint16_t;
  using Weights = T;
  static constexpr int kDepth = 2;
  static constexpr bool kResumes = false;

  static inline __attribute__((always_inline)) T LoadWeights(const uint16_t* p) {
    return V::Load(reinterpret_cast<const float*>(p));
  }
  static inline __attribute__((always_inline)) T Broadcast(const uint16_t* const* x, int64_t channel,
                                                           int64_t left) {
    return BroadcastPair<V>(*x + channel, left);
  }
  template <int k>
  static inline __attribute__((always_inline)) T FactorOf(const uint16_t* x) {
    return BroadcastPair<V>(x + k * kDepth, kDepth);
  }
  static inline __attribute__((always_inline)) T MulAdd(T factor, T weights, T sum) {
    return V::DotBfloat16(factor, weights, sum);
  }
};

}  // namespace
}  // namespace resnet_native::cpu
