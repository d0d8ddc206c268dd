#pragma once

#include <memory>
#include <optional>

#include "native/backend.h"
#include "native/backends/cpu/executor.h"
#include "native/backends/cpu/plan.h"

namespace resnet_native::cpu {

// Helper threads and the memory for activations of one batch at a time. Run computes on the calling thread
// too and returns after `done`, which may itself call Run or destroy the context.
class CpuContext final : public Context {
 public:
  explicit CpuContext(std::shared_ptr<const CpuPlan> plan) : plan_(std::move(plan)) {}

  void Run(const RunRequest& request, Completion done) override;

 private:
  const std::shared_ptr<const CpuPlan> plan_;
  std::optional<Executor>
      executor_;  // made by the first run, whose error it then is if threads cannot be had
};

}  // namespace resnet_native::cpu
