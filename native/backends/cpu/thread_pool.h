#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <thread>
#include <vector>

namespace resnet_native::cpu {

// Threads that share the items of one loop at a time. The thread that calls ParallelFor works too, so a pool
// of n has n - 1 threads of its own. After a loop they spin for a moment, because the next one is usually
// near, and then sleep: an idle pool takes no CPU time. Each thread begins with its own part of the items,
// the same share of every loop, so that one layer's results are read by the core that has them in its cache;
// when it is done it helps the others. Denormals are flushed to zero in the pool's own threads.
//
// ParallelFor may be called by one thread at a time.
class ThreadPool {
 public:
  // `threads` is at least 1. Throws std::system_error if the system grants no more threads.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(parts_.size()); }

  // Calls body(item, thread) for each item in [0, count), in any order; `thread` is in [0, threads()).
  // Returns when all have finished. What body throws first is thrown from here then.
  template <class Body>
  void ParallelFor(int64_t count, const Body& body) {
    Loop<Body> loop{body};
    Run(count, &loop, [](void* context, int64_t item, int thread) {
      auto& loop = *static_cast<Loop<Body>*>(context);
      try {
        loop.body(item, thread);
      } catch (...) {
        if (!loop.failed.test_and_set()) loop.error = std::current_exception();
      }
    });
    if (loop.error) std::rethrow_exception(loop.error);
  }

 private:
  template <class Body>
  struct Loop {
    const Body& body;
    std::atomic_flag failed{};
    std::exception_ptr error{};
  };
  using Function = void (*)(void* context, int64_t item, int thread);

  void Run(int64_t count, void* context, Function function);
  bool RunOneItem(int thread);
  bool RunOneItemOf(int part, int thread);
  int64_t FirstItemOf(int64_t part) const { return count_ * part / threads(); }
  void WaitForAll(uint32_t count);
  void Help(int thread);
  void Stop();

  // The loop under way. A thread reads these only after it has claimed an item, and the loop cannot end
  // before that item is done.
  void* context_ = nullptr;
  Function function_ = nullptr;
  int64_t count_ = 0;

  // Of each thread's part of the items: the loop's number in the upper half and how many items nobody has
  // claimed yet in the lower. One word, so that a thread that comes late cannot claim an item of the next
  // loop with what it saw of the last.
  struct alignas(64) Part {
    std::atomic<uint64_t> unclaimed{0};
  };
  std::vector<Part> parts_;
  alignas(64) std::atomic<uint32_t> finished_{0};
  alignas(64) std::atomic<uint32_t> loops_{0};  // helpers sleep on it
  std::atomic<bool> stop_{false};
  std::vector<std::thread> helpers_;
};

}  // namespace resnet_native::cpu
