#include "native/backends/cpu/kernels/kernels.h"

// Multiply-adds and nothing else: what the units can do at most, for the vector type V of a simd_*.h.

namespace resnet_native::cpu {
namespace {

// More sums than any core needs to hide the latency of its units, and few enough to stay in registers.
constexpr int kPeakSums = 12;
constexpr int kPeakUnroll = 8;

template <class V>
void MultiplyAdds(int64_t rounds, float* values) {
  typename V::T sums[kPeakSums];
  for (auto& sum : sums) sum = V::Zero();
  for (int64_t round = 0; round < rounds; ++round) {
    // The compiler must not know the factor, or it would multiply once for all rounds.
    asm volatile("" : : "r"(values) : "memory");
    const typename V::T factor = V::Broadcast(values);
    for (int i = 0; i < kPeakUnroll; ++i) {
      for (auto& sum : sums) sum = V::MulAdd(factor, factor, sum);
    }
  }
  for (int i = 1; i < kPeakSums; ++i) sums[0] = V::Add(sums[0], sums[i]);
  V::Store(values, sums[0]);
}

template <class V>
constexpr PeakKernels kPeakKernels = {2 * kPeakSums* kPeakUnroll* V::kLanes, MultiplyAdds<V>};

}  // namespace
}  // namespace resnet_native::cpu
