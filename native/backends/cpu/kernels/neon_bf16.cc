#include "native/backends/cpu/kernels/kernels_of_row-inl.h"
#include "native/backends/cpu/kernels/simd_neon_bf16.h"

namespace resnet_native::cpu {
namespace {

// The matrix instruction: sums of two pixels × two channels, over four products each. The factor holds four
// channels of two pixels, a vector of weights four channels of two outputs; a tile's vector has two of those.
struct Bfloat16MatrixDot {
  using Simd = SimdNeonBf16;
  using Storage = Bfloat16Storage<Simd>;
  using T = float32x4_t;
  using Weight = uint16_t;
  using Weights = bfloat16x8x2_t;
  static constexpr int kDepth = 4, kRows = 2;
  static constexpr bool kResumes = false;
  using Stretch = bfloat16x8_t;
  static constexpr int kStretch = 1;
  static constexpr bool kKeepsStretch = true;

  static inline __attribute__((always_inline)) Weights LoadWeights(const uint16_t* p) {
    const auto* pairs = reinterpret_cast<const bfloat16_t*>(p);
    return {vld1q_bf16(pairs), vld1q_bf16(pairs + 8)};
  }
  static inline __attribute__((always_inline)) Stretch Broadcast(const uint16_t* const* x, int64_t channel,
                                                                 int64_t left) {
    if (left >= kDepth) return LoadStretch(x, channel);
    return Join(LoadRest(x[0] + channel, left), LoadRest(x[1] + channel, left));
  }
  static inline __attribute__((always_inline)) Stretch LoadStretch(const uint16_t* const* x,
                                                                   int64_t channel) {
    return Join(vld1_u16(x[0] + channel), vld1_u16(x[1] + channel));
  }
  template <int k>
  static inline __attribute__((always_inline)) Stretch FactorOf(Stretch x) {
    return x;
  }
  static inline __attribute__((always_inline)) void MulAdd(Stretch factor, const Weights& weights, T& sum,
                                                           T& next_sum) {
    // As intrinsics, gcc 12 lets sums wander between registers and spills them.
    asm("bfmmla %0.4s, %1.8h, %2.8h" : "+w"(sum) : "w"(factor), "w"(weights.val[0]));
    asm("bfmmla %0.4s, %1.8h, %2.8h" : "+w"(next_sum) : "w"(factor), "w"(weights.val[1]));
  }
  // Four channels of each of two pixels, or two channels of both and the other two.
  static inline __attribute__((always_inline)) void Exchange(T& sum, T& next_sum) {
    const float64x2_t first = vreinterpretq_f64_f32(sum), second = vreinterpretq_f64_f32(next_sum);
    sum = vreinterpretq_f32_f64(vzip1q_f64(first, second));
    next_sum = vreinterpretq_f32_f64(vzip2q_f64(first, second));
  }

 private:
  static inline __attribute__((always_inline)) Stretch Join(uint16x4_t pixel, uint16x4_t next) {
    return vreinterpretq_bf16_u16(vcombine_u16(pixel, next));
  }
  static inline __attribute__((always_inline)) uint16x4_t LoadRest(const uint16_t* p, int64_t count) {
    uint16x4_t channels = vld1_lane_u16(p, vdup_n_u16(0), 0);
    if (count > 1) channels = vld1_lane_u16(p + 1, channels, 1);
    if (count > 2) channels = vld1_lane_u16(p + 2, channels, 2);
    return channels;
  }
};

}  // namespace

constexpr KernelsOfRow kBfloat16NeonBf16 = MakeKernels<Bfloat16MatrixDot, 30, 4, 14>();

}  // namespace resnet_native::cpu
