#include "bench/native/fma_peak.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "native/backends/cpu/cpu_features.h"

namespace resnet_native::bench {
namespace {

constexpr int64_t kRounds = 20000;
constexpr int kUnroll = 4;
constexpr int kSums = 12;  // more than hide the latency of a multiply-add, few enough to stay in registers
constexpr int kTries = 4;

// Each multiply-add is volatile assembly on one register: otherwise the compiler sees that all sums are equal
// and makes one of them, or keeps them in memory, and the peak comes out wrong.
#if defined(__x86_64__)
#define RESNET_NATIVE_FMA_LOOP(Name, Width, Target, Constraint)                                  \
  __attribute__((target(Target))) void Name() {                                                  \
    typedef float Vector __attribute__((vector_size(Width * sizeof(float))));                    \
    Vector sums[kSums] = {}, factor = {};                                                        \
    for (int64_t round = 0; round < kRounds; ++round) {                                          \
      _Pragma("GCC unroll 4") for (int unroll = 0; unroll < kUnroll; ++unroll) {                 \
        _Pragma("GCC unroll 12") for (int i = 0; i < kSums; ++i) {                               \
          asm volatile("vfmadd231ps %1, %1, %0" : "+" Constraint(sums[i]) : Constraint(factor)); \
        }                                                                                        \
      }                                                                                          \
    }                                                                                            \
  }
RESNET_NATIVE_FMA_LOOP(Fma512, 16, "avx512f,fma", "v")
RESNET_NATIVE_FMA_LOOP(Fma256, 8, "avx2,fma", "x")
#elif defined(__aarch64__)
void Fma128() {
  typedef float Vector __attribute__((vector_size(16)));
  Vector sums[kSums] = {}, factor = {};
  for (int64_t round = 0; round < kRounds * kUnroll; ++round) {
    _Pragma("GCC unroll 12") for (int i = 0; i < kSums; ++i) {
      asm volatile("fmla %0.4s, %1.4s, %1.4s" : "+w"(sums[i]) : "w"(factor));
    }
  }
}
#endif

struct Loop {
  void (*run)() = nullptr;
  int width = 0;
};

Loop WidestLoop() {
#if defined(__x86_64__)
  if (cpu::HasIsa(cpu::Isa::kAvx512)) return {Fma512, 16};
  if (cpu::HasIsa(cpu::Isa::kAvx2)) return {Fma256, 8};
#elif defined(__aarch64__)
  return {Fma128, 4};
#endif
  return {};
}

}  // namespace

double MeasureFmaGflops(cpu::ThreadPool& pool) {
  const Loop loop = WidestLoop();
  if (!loop.run) return 0;
  double best = 0;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    const auto start = std::chrono::steady_clock::now();
    // A try in which one thread took two shares is slow and does not count.
    pool.ParallelFor(pool.threads(), [&](int64_t, int) { loop.run(); });
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    const double flops = 2.0 * kRounds * kUnroll * kSums * loop.width * pool.threads();
    best = std::max(best, flops / elapsed.count() * 1e-9);
  }
  return best;
}

}  // namespace resnet_native::bench
