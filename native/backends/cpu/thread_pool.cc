#include "native/backends/cpu/thread_pool.h"

#include <limits>

#include "native/backends/cpu/denormals.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace resnet_native::cpu {
namespace {

constexpr uint64_t kLoopShift = 32;
constexpr int64_t kMaxItems = std::numeric_limits<uint32_t>::max();
// About 0.1 ms on current machines: longer than the gap between two layers, too short to matter when idle.
constexpr int kSpins = 4000;

void Pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) : parts_(threads) {
  try {
    for (int thread = 1; thread < threads; ++thread) helpers_.emplace_back([this, thread] { Help(thread); });
  } catch (...) {
    Stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { Stop(); }

void ThreadPool::Stop() {
  stop_.store(true);
  loops_.fetch_add(1);
  loops_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
}

void ThreadPool::Run(int64_t count, void* context, Function function) {
  if (helpers_.empty() || count <= 1 || count > kMaxItems) {
    for (int64_t item = 0; item < count; ++item) function(context, item, 0);
    return;
  }
  context_ = context;
  function_ = function;
  count_ = count;
  finished_.store(0, std::memory_order_relaxed);
  for (int part = 0; part < threads(); ++part) {
    std::atomic<uint64_t>& unclaimed = parts_[part].unclaimed;
    const uint64_t loop = (unclaimed.load(std::memory_order_relaxed) >> kLoopShift) + 1;
    const auto items = static_cast<uint64_t>(FirstItemOf(part + 1) - FirstItemOf(part));
    unclaimed.store(loop << kLoopShift | items, std::memory_order_release);
  }
  loops_.fetch_add(1);
  loops_.notify_all();
  while (RunOneItem(0)) {
  }
  WaitForAll(static_cast<uint32_t>(count));
}

bool ThreadPool::RunOneItem(int thread) {
  for (int i = 0; i < threads(); ++i) {
    if (RunOneItemOf((thread + i) % threads(), thread)) return true;
  }
  return false;
}

bool ThreadPool::RunOneItemOf(int part, int thread) {
  std::atomic<uint64_t>& unclaimed = parts_[part].unclaimed;
  uint64_t state = unclaimed.load(std::memory_order_acquire);
  uint64_t left;
  do {
    left = state & kMaxItems;
    if (left == 0) return false;
  } while (!unclaimed.compare_exchange_weak(state, state - 1, std::memory_order_acq_rel,
                                            std::memory_order_acquire));
  const int64_t count = count_;
  function_(context_, FirstItemOf(part + 1) - static_cast<int64_t>(left), thread);
  if (finished_.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<uint32_t>(count))
    finished_.notify_one();
  return true;
}

void ThreadPool::WaitForAll(uint32_t count) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (finished_.load(std::memory_order_acquire) == count) return;
    Pause();
  }
  for (uint32_t done; (done = finished_.load(std::memory_order_acquire)) != count;) finished_.wait(done);
}

void ThreadPool::Help(int thread) {
  const FlushDenormals flush;
  for (;;) {
    // Before looking at stop_: Stop() sets it and then counts up, so that none of the two can be missed.
    const uint32_t seen = loops_.load();
    if (stop_.load()) return;
    bool worked = false;
    while (RunOneItem(thread)) worked = true;
    if (worked) continue;
    int spin = 0;
    while (spin < kSpins && loops_.load(std::memory_order_relaxed) == seen) {
      Pause();
      ++spin;
    }
    if (spin == kSpins) loops_.wait(seen);
  }
}

}  // namespace resnet_native::cpu
