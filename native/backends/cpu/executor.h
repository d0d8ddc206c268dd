#pragma once

#include <exception>
#include <list>
#include <memory>
#include <vector>

#include "native/backend.h"
#include "native/backends/cpu/aligned_buffer.h"
#include "native/backends/cpu/plan.h"
#include "native/graph/memory_plan.h"

namespace resnet_native::cpu {

// Runs a plan's steps one after the other, each spread over the threads. Belongs to one thread.
class Executor {
 public:
  // Throws std::system_error if the system grants no more threads.
  explicit Executor(std::shared_ptr<const CpuPlan> plan);

  // Throws Error or std::bad_alloc; can be called again afterwards.
  void Run(const RunRequest& request);

 private:
  // Everything that depends on the size of the batch and its images.
  struct Layout {
    int64_t n, h, w;
    std::vector<TensorShape> shapes;
    MemoryPlan memory;
    size_t scratch_bytes;  // of each thread
  };
  const Layout& LayoutFor(const InputBatch& input);
  void RunStep(NodeId node, const Layout& layout, const RunRequest& request);
  void StoreOutputs(NodeId node, const Layout& layout, const RunRequest& request);
  TensorView ViewOf(NodeId node, const Layout& layout);

  const std::shared_ptr<const CpuPlan> plan_;
  ThreadPool pool_;
  std::list<Layout> layouts_;  // the last few sizes, the latest first
  AlignedBuffer memory_;       // activations, then each thread's scratch
};

// The exception in flight as an Error: out of memory and out of threads have codes of their own.
std::exception_ptr TranslateException();

}  // namespace resnet_native::cpu
