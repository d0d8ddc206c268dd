#include "native/backends/cpu/peak.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <vector>

#include "native/backends/cpu/aligned_buffer.h"
#include "native/backends/cpu/cpu_features.h"
#include "native/backends/cpu/dispatch.h"
#include "native/backends/cpu/thread_pool.h"
#include "native/error.h"

namespace resnet_native::cpu {
namespace {

using Clock = std::chrono::steady_clock;

// The best of several short tries, because other programs only ever make one slower.
constexpr int kTries = 20;
constexpr double kTrySeconds = 0.01;
constexpr int kReadTries = 4;
constexpr int64_t kReadBytes = int64_t{256} << 20;

template <class Work>
double SecondsOf(const Work& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The rate at which all threads do rounds of some operations each: 1e9 of them a second. In every try each
// thread has one share of the work; a try in which one thread took two is slow and does not count.
template <class Work>
double MeasureRate(ThreadPool& pool, int64_t operations, const Work& work) {
  const auto run = [&](int64_t rounds) {
    return SecondsOf([&] { pool.ParallelFor(pool.threads(), [&](int64_t, int) { work(rounds); }); });
  };
  int64_t rounds = 1;
  while (run(rounds) < kTrySeconds) rounds *= 2;
  double best = run(rounds);
  for (int i = 1; i < kTries; ++i) best = std::min(best, run(rounds));
  return static_cast<double>(rounds * operations * pool.threads()) / best / 1e9;
}

double MeasureGflops(const PeakKernels& kernels, ThreadPool& pool) {
  return MeasureRate(pool, kernels.flops_per_round, [&](int64_t rounds) {
    alignas(64) float values[64];
    std::fill_n(values, 64, 1e-3f);
    kernels.multiply_add(rounds, values);
  });
}

// Vector units read every factor from memory, so this is the kernel on what the first-level cache holds.
double MeasureInt8Gops(const Int8Kernels& kernels, ThreadPool& pool) {
  constexpr int64_t kBytes = 256;
  const std::vector<uint8_t> x(kernels.max_pixels * kBytes, 1);
  AlignedBuffer weights(kBytes * kInt8Panel);
  std::fill_n(weights.As<int8_t>(), weights.size(), int8_t{1});
  constexpr int32_t kWeightSums[kInt8Panel] = {};
  const int64_t operations = int64_t{2} * kernels.max_pixels * kInt8Panel * kBytes;
  return MeasureRate(pool, operations, [&](int64_t rounds) {
    AlignedBuffer sums(kernels.max_pixels * kInt8Panel * sizeof(int32_t));
    for (int64_t i = 0; i < rounds; ++i) {
      kernels.sums({x.data(), kBytes, kernels.max_pixels, weights.As<int8_t>(), kBytes / kernels.depth,
                    kInt8Panel / kInt8Block, kWeightSums, sums.As<int32_t>()});
    }
  });
}

double MeasureBandwidth(ThreadPool& pool) {
  const int64_t share = kReadBytes / static_cast<int64_t>(sizeof(uint64_t)) / pool.threads();
  std::vector<uint64_t> words(share * pool.threads(), 1);
  std::vector<uint64_t> sums(pool.threads());
  const auto read = [&] {
    pool.ParallelFor(pool.threads(), [&](int64_t part, int) {
      const uint64_t* begin = words.data() + part * share;
      sums[part] = std::accumulate(begin, begin + share, sums[part]);
    });
  };
  double best = SecondsOf(read);
  for (int i = 1; i < kReadTries; ++i) best = std::min(best, SecondsOf(read));
  return static_cast<double>(words.size() * sizeof(uint64_t)) / best / 1e9;
}

}  // namespace

Peak MeasurePeak(int threads) {
  if (threads < 1) throw Error(ErrorCode::kInvalidArgument, "expected at least one thread to measure");
  ThreadPool pool(threads);
  const KernelTable kernels(FeaturesFor(SelectIsa()));
  const KernelSet& bfloat16 = kernels[DType::kBfloat16];
  const KernelSet& int8 = kernels[DType::kInt8];
  return {MeasureGflops(*kernels[DType::kFloat32].peak, pool),
          MeasureGflops(bfloat16.tiles ? bfloat16.tiles->peak : *bfloat16.peak, pool),
          int8.tiles ? MeasureGflops(int8.tiles->peak, pool) : MeasureInt8Gops(*int8.int8, pool),
          MeasureBandwidth(pool)};
}

}  // namespace resnet_native::cpu
