#pragma once

#include <cstdint>

#include "native/backends/cuda/gpu/kernels/numeric.h"

// How a kernel is written: as a body, a plain structure with its arguments, that says what one thread does.
//
//   A body of threads has `uint32_t threads` and `operator()(uint32_t thread)`.
//   A body of blocks works in phases with a barrier after each: `uint32_t blocks`, kThreads, `Shared` (what
//   the threads of a block share), `int phases()` and `operator()(int phase, uint32_t block, int thread,
//   Shared&)`. Between phases nothing is kept but Shared.
//
// launch.h runs bodies on the GPU; on the host, where tests run every thread of them, RunOnHost does. There
// are less than kMaxThreads threads or blocks; offsets in elements are 64 bits wide.

namespace resnet_native::cuda {

inline constexpr int64_t kMaxThreads = int64_t{1} << 31;

// Division of numbers below 2^31 by another such number that is known when the kernel is launched: a
// multiplication and a shift instead of the dozens of instructions of a division. With s = ceil(log2 d), m =
// floor(2^32 (2^s - d) / d) + 1: n / d = (mulhi(n, m) + n) >> s for all n below 2^31 (Granlund and
// Montgomery, Division by Invariant Integers using Multiplication, 4).
struct Divisor {
  uint32_t divisor = 1, multiplier = 1, shift = 0;

  Divisor() = default;
  explicit Divisor(uint32_t d) : divisor(d) {
    while ((uint64_t{1} << shift) < d) ++shift;
    multiplier = static_cast<uint32_t>((((uint64_t{1} << shift) - d) << 32) / d + 1);
  }

  HOST_DEVICE uint32_t Divide(uint32_t n) const {
#if defined(__CUDA_ARCH__)
    return (__umulhi(n, multiplier) + n) >> shift;
#else
    return (static_cast<uint32_t>(uint64_t{n} * multiplier >> 32) + n) >> shift;
#endif
  }
  // Leaves the quotient in n and returns the remainder.
  HOST_DEVICE uint32_t Split(uint32_t& n) const {
    const uint32_t quotient = Divide(n), remainder = n - quotient * divisor;
    n = quotient;
    return remainder;
  }
};

}  // namespace resnet_native::cuda
