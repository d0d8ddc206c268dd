#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "native/backend.h"
#include "native/backends/cpu/plan.h"

namespace resnet_native::cpu {

// A thread that computes one batch at a time, its helpers (ThreadPool) and the memory for activations. Run
// returns at once; `done` is called on the context's thread, and may itself call Run or destroy the context.
class CpuContext final : public Context {
 public:
  explicit CpuContext(std::shared_ptr<const CpuPlan> plan);
  // Waits for the run under way.
  ~CpuContext() override;

  void Run(const RunRequest& request, Completion done) override;

 private:
  struct Job {
    RunRequest request;
    Completion done;
  };
  // What the thread and the owner share; the thread keeps it alive, so that `done` may destroy the context.
  struct Mailbox {
    std::mutex mutex;
    std::condition_variable arrived;
    std::optional<Job> job;
    bool closed = false;
  };
  static void Work(std::shared_ptr<Mailbox> mailbox, std::shared_ptr<const CpuPlan> plan);

  const std::shared_ptr<Mailbox> mailbox_;
  std::thread thread_;
};

}  // namespace resnet_native::cpu
