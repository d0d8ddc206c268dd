#pragma once

#include <list>
#include <memory>
#include <vector>

#include "native/backend.h"
#include "native/backends/cuda/plan.h"

namespace resnet_native::cuda {

// A stream with its memory: device memory for one batch, and pinned memory that it comes and goes through.
// Run blocks the calling thread, one of the session's, until the results are there; with two contexts, one
// computes while the other copies.
class CudaContext final : public Context {
 public:
  // Takes the memory for the largest program that the plan has: that it is there shows now, not in a run.
  explicit CudaContext(std::shared_ptr<const CudaPlan> plan);
  ~CudaContext() override;

  void Run(const RunRequest& request, Completion done) override;

 private:
  // A program that was run with this context's memory, and from the second run on the capture of its
  // launches.
  struct Known {
    std::shared_ptr<const Program> program;
    std::unique_ptr<Capture> capture;
    int attempts = 0;  // to capture it
  };

  void RunOnDevice(const RunRequest& request);
  void Reserve(const Program& program);
  void CopyIn(const RunRequest& request, const Program& program);
  void Start(const std::shared_ptr<const Program>& program);
  void TryToCapture(Known& known);
  std::unique_ptr<Capture> CaptureLaunches(const Program& program);
  void LaunchAll(const Program& program);
  void LaunchTimed(const Program& program, std::vector<double>* step_ms);
  void CopyOut(const RunRequest& request, const Program& program);
  void WaitForStream();

  const std::shared_ptr<const CudaPlan> plan_;
  // In this order: the stream goes first, and waits for what it does with the rest.
  std::unique_ptr<DeviceMemory::Block> memory_;
  std::unique_ptr<Buffer> pinned_input_, pinned_output_;
  std::unique_ptr<Event> done_, step_begin_, step_end_;
  std::list<Known> known_;  // the last used first
  std::unique_ptr<Stream> stream_;
};

}  // namespace resnet_native::cuda
