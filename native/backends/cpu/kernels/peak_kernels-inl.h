#include "native/backends/cpu/kernels/kernels.h"

// Multiply-adds and nothing else: what the units can do at most, for a Dot of conv_kernels-inl.h.

namespace resnet_native::cpu {
namespace {

// More sums than any core needs to hide the latency of its units, and few enough to stay in registers.
constexpr int kPeakSums = 12;
constexpr int kPeakUnroll = 8;

template <class Dot>
void MultiplyAdds(int64_t rounds, float* values) {
  using V = typename Dot::Simd;
  typename V::T sums[kPeakSums];
  for (auto& sum : sums) sum = V::Zero();
  for (int64_t round = 0; round < rounds; ++round) {
    // The compiler must not know the factor, or it would multiply once for all rounds.
    asm volatile("" : : "r"(values) : "memory");
    const auto factor = Dot::Broadcast(reinterpret_cast<const typename Dot::Weight*>(values));
    for (int i = 0; i < kPeakUnroll; ++i) {
      for (auto& sum : sums) sum = Dot::MulAdd(factor, factor, sum);
    }
  }
  for (int i = 1; i < kPeakSums; ++i) sums[0] = V::Add(sums[0], sums[i]);
  V::Store(values, sums[0]);
}

template <class Dot>
constexpr PeakKernels kPeakKernels = {2 * kPeakSums* kPeakUnroll* Dot::Simd::kLanes* Dot::kDepth,
                                      MultiplyAdds<Dot>};

}  // namespace
}  // namespace resnet_native::cpu
