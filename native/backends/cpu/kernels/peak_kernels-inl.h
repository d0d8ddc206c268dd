#include "native/backends/cpu/kernels/conv_kernels-inl.h"

// Multiply-adds and nothing else: what the units can do at most, for a Dot of conv_kernels-inl.h.

namespace resnet_native::cpu {
namespace {

constexpr int kPeakUnroll = 8;

// kSums: as many as hide the latency of the units, and few enough to stay in registers.
template <class Dot, int kSums>
void MultiplyAdds(int64_t rounds, float* values) {
  using V = typename Dot::Simd;
  const auto* pixel = reinterpret_cast<const typename Dot::Storage::Element*>(values);
  const typename Dot::Storage::Element* x[] = {pixel, pixel};
  typename V::T sums[kSums][1];
  for (auto& sum : sums) sum[0] = V::Zero();
  for (int64_t round = 0; round < rounds; ++round) {
    // The compiler must not know the factors, or it would multiply once for all rounds.
    asm volatile("" : : "r"(values) : "memory");
    const auto factor = Dot::Broadcast(x, 0, Dot::kDepth);
    typename Dot::Weights weights;
    if constexpr (Dot::kRows == 1) {
      weights = factor;
    } else {
      weights = Dot::LoadWeights(reinterpret_cast<const typename Dot::Weight*>(values));
    }
    for (int k = 0; k < kPeakUnroll; ++k) {
      for (int i = 0; i < kSums; i += Dot::kRows) MultiplyAddPixel<Dot>(factor, weights, sums, i, 0);
    }
  }
  for (int i = 1; i < kSums; ++i) sums[0][0] = V::Add(sums[0][0], sums[i][0]);
  V::Store(values, sums[0][0]);
}

template <class Dot, int kSums>
constexpr PeakKernels kPeakKernels = {2 * kSums* kPeakUnroll* Dot::Simd::kLanes* Dot::kDepth,
                                      MultiplyAdds<Dot, kSums>};

}  // namespace
}  // namespace resnet_native::cpu
