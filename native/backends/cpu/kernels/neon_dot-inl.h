#include "native/backends/cpu/kernels/conv_kernels-inl.h"
#include "native/backends/cpu/kernels/simd_neon.h"

// How NEON multiplies: by one lane of a register, so that one load of four channels of a pixel serves four
// steps (a Dot of conv_kernels-inl.h).

namespace resnet_native::cpu {
namespace {

// One lane of four.
template <int k>
struct Lane {
  float32x4_t vector;
};

// float32 × float32, and bfloat16, widened when it is loaded, × float32.
template <class S>
struct LaneDot {
  using Simd = SimdNeon;
  using Storage = S;
  using T = float32x4_t;
  using Weight = float;
  using Weights = T;
  static constexpr int kDepth = 1, kRows = 1;
  static constexpr bool kResumes = sizeof(typename S::Element) == sizeof(float);
  using Stretch = T;
  static constexpr int kStretch = 4;
  static constexpr bool kKeepsStretch = true;

  static inline __attribute__((always_inline)) T LoadWeights(const float* p) { return vld1q_f32(p); }
  static inline __attribute__((always_inline)) T Broadcast(const typename S::Element* const* x,
                                                           int64_t channel, int64_t) {
    return S::Broadcast(*x + channel);
  }
  static inline __attribute__((always_inline)) T LoadStretch(const typename S::Element* const* x,
                                                             int64_t channel) {
    return S::Load(*x + channel);
  }
  template <int k>
  static inline __attribute__((always_inline)) Lane<k> FactorOf(T x) {
    return {x};
  }
  static inline __attribute__((always_inline)) T MulAdd(T factor, T weights, T sum) {
    return vfmaq_f32(sum, factor, weights);
  }
  template <int k>
  static inline __attribute__((always_inline)) T MulAdd(Lane<k> factor, T weights, T sum) {
    // As an intrinsic, gcc 12 copies the lane to a register of its own.
    asm("fmla %0.4s, %1.4s, %2.s[%3]" : "+w"(sum) : "w"(weights), "w"(factor.vector), "n"(k));
    return sum;
  }
};

}  // namespace
}  // namespace resnet_native::cpu
