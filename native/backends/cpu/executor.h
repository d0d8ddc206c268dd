#pragma once

#include <exception>
#include <list>
#include <memory>
#include <vector>

#include "native/backend.h"
#include "native/backends/cpu/aligned_buffer.h"
#include "native/backends/cpu/plan.h"
#include "native/backends/cpu/segments.h"
#include "native/graph/memory_plan.h"

namespace resnet_native::cpu {

// Runs a plan's steps one after the other, each spread over the threads, for the whole batch or for a few
// images at a time. Belongs to one thread.
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
    std::vector<Segment> segments;
    std::vector<bool> crosses;  // results that hold the whole batch
    MemoryPlan memory;
    size_t scratch_bytes = 0;  // of each thread
  };
  // The images of the batch that a segment works on.
  struct Images {
    int64_t first, count;
  };
  const Layout& LayoutFor(const InputBatch& input);
  void PlanMemoryOf(Layout& layout) const;
  // `bytes` of each node's result for the whole batch of n images.
  std::vector<Segment> SegmentsOf(const std::vector<int64_t>& bytes, int64_t n) const;
  size_t ScratchBytes(NodeId node, const Layout& layout, int64_t images) const;
  void RunNode(NodeId node, const Images& images, const Layout& layout, const RunRequest& request);
  void RunStep(NodeId node, const Images& images, const Layout& layout, const RunRequest& request);
  void StoreOutputs(NodeId node, const Images& images, const Layout& layout, const RunRequest& request);
  TensorView ViewOf(NodeId node, const Images& images, const Layout& layout);

  const std::shared_ptr<const CpuPlan> plan_;
  ThreadPool pool_;
  std::list<Layout> layouts_;  // the last few sizes, the latest first
  AlignedBuffer memory_;       // activations, then each thread's scratch
};

// The exception in flight as an Error; of a lack of memory it says what that was for, and what to do.
std::exception_ptr TranslateException(const char* needed_for);

}  // namespace resnet_native::cpu
