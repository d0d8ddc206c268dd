#include "native/backends/cpu/peak.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <vector>

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

// In every try each thread has one share of the work; a try in which one thread took two is slow and does not
// count.
double MeasureGflops(const PeakKernels& kernels, ThreadPool& pool) {
  const auto run = [&](int64_t rounds) {
    return SecondsOf([&] {
      pool.ParallelFor(pool.threads(), [&](int64_t, int) {
        alignas(64) float values[64] = {1e-3f};
        kernels.multiply_add(rounds, values);
      });
    });
  };
  int64_t rounds = 1000;
  while (run(rounds) < kTrySeconds) rounds *= 2;
  double best = run(rounds);
  for (int i = 1; i < kTries; ++i) best = std::min(best, run(rounds));
  return static_cast<double>(rounds * kernels.flops_per_round * pool.threads()) / best / 1e9;
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
  return {MeasureGflops(*kernels[DType::kFloat32].peak, pool), MeasureBandwidth(pool)};
}

}  // namespace resnet_native::cpu
