#include "native/backends/cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <limits>
#include <stdexcept>

#include "native/backends/cpu/denormals.h"

namespace resnet_native::cpu {
namespace {

TEST(ThreadPool, RunsEachItemOnce) {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (int64_t count : {0, 1, 2, 7, 1000}) {
      std::vector<int> runs(count, 0);
      pool.ParallelFor(count, [&](int64_t item, int thread) {
        EXPECT_LT(thread, threads);
        ++runs[item];
      });
      for (int64_t i = 0; i < count; ++i) EXPECT_EQ(runs[i], 1) << i;
    }
  }
}

// Loops of a few items in quick succession are where a thread that comes late could meet the next loop.
TEST(ThreadPool, KeepsLoopsApart) {
  ThreadPool pool(4);
  int64_t expected = 0;
  std::vector<int64_t> totals(5, 0);
  for (int64_t loop = 0; loop < 20000; ++loop) {
    const int64_t count = 1 + loop % 5;
    pool.ParallelFor(count, [&](int64_t item, int) { totals[item] += loop; });
    for (int64_t item = 0; item < count; ++item) expected += loop;
  }
  int64_t sum = 0;
  for (int64_t total : totals) sum += total;
  EXPECT_EQ(sum, expected);
}

TEST(ThreadPool, ThrowsWhatAnItemThrowsAndGoesOn) {
  for (int threads : {1, 3}) {
    ThreadPool pool(threads);
    std::atomic<int> runs{0};
    const auto loop = [&] {
      pool.ParallelFor(100, [&](int64_t item, int) {
        if (item % 10 == 3) throw std::runtime_error("item");
        ++runs;
      });
    };
    EXPECT_THROW(loop(), std::runtime_error);
    EXPECT_EQ(runs.load(), 90);
    pool.ParallelFor(10, [&](int64_t, int) { ++runs; });
    EXPECT_EQ(runs.load(), 100);
  }
}

TEST(ThreadPool, WakesAfterASleep) {
  ThreadPool pool(3);
  for (int loop = 0; loop < 20; ++loop) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    std::atomic<int> runs{0};
    pool.ParallelFor(30, [&](int64_t, int) { ++runs; });
    EXPECT_EQ(runs.load(), 30);
  }
}

TEST(ThreadPool, StartsAndStopsWithoutWork) {
  for (int i = 0; i < 200; ++i) ThreadPool pool(4);
}

TEST(ThreadPool, TakesNoTimeWhenIdle) {
  ThreadPool pool(4);
  pool.ParallelFor(8, [](int64_t, int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 0.05);
}

TEST(ThreadPool, FlushesDenormalsInItsOwnThreadsOnly) {
  const volatile float tiny = std::numeric_limits<float>::denorm_min();
  {
    const FlushDenormals flush;
    EXPECT_EQ(tiny * 1.0f, 0.0f);
  }
  EXPECT_GT(tiny * 1.0f, 0.0f);
  ThreadPool pool(2);
  pool.ParallelFor(16, [](int64_t, int) {});
  EXPECT_GT(tiny * 1.0f, 0.0f);
}

TEST(ThreadPool, EndsWhereverItsThreadsAre) {
  for (int i = 0; i < 2000; ++i) {
    ThreadPool pool(3);
    if (i % 2 == 0) pool.ParallelFor(4, [](int64_t, int) {});
  }
}

}  // namespace
}  // namespace resnet_native::cpu
