#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "native/backend.h"
#include "native/backends/cuda/choice_cache.h"
#include "native/backends/cuda/device_loss.h"
#include "native/backends/cuda/kernel_chooser.h"
#include "native/backends/cuda/network.h"
#include "native/backends/cuda/program.h"

namespace resnet_native::cuda {

// What a plan is compiled with, beside the graph.
struct PlanSetup {
  std::shared_ptr<Device> device;
  std::shared_ptr<DeviceLoss> loss;
  Trial trial;
  CompileOptions options;
};

// A network compiled for a GPU. Programs for the tuned buckets are made when it is compiled, others by the
// first run that needs them; the last few are kept. Thread-safe; outlives its contexts.
class CudaPlan final : public Plan {
 public:
  CudaPlan(Graph graph, PlanSetup setup);

  const Graph& graph() const override { return network_.graph(); }
  std::vector<StepInfo> Describe() const override;
  std::unique_ptr<Context> NewContext(std::shared_ptr<const Plan> self) const override;
  int default_contexts() const override { return 2; }

  Device& device() const { return *setup_.device; }
  DeviceLoss& loss() const { return *setup_.loss; }
  DeviceMemory& memory() const { return *memory_; }
  const Network& network() const { return network_; }
  // The program for a batch; runs that need the same wait for the one that makes it.
  std::shared_ptr<const Program> ProgramFor(const InputBatch& input) const;
  // The largest of those that compiling made; null if the network does not take the usual size of images.
  std::shared_ptr<const Program> largest_program() const { return largest_; }

 private:
  std::shared_ptr<const Program> Find(const ProgramKey& key) const;
  std::shared_ptr<const Program> Make(const ProgramKey& key, bool measure) const;
  void PrepareTunedBuckets();

  const PlanSetup setup_;
  const std::shared_ptr<DeviceMemory> memory_;
  const Network network_;
  mutable ChoiceCache choices_;
  mutable KernelChooser chooser_;
  std::shared_ptr<const Program> largest_;

  mutable std::mutex making_;                                   // one program at a time
  mutable std::mutex mutex_;                                    // of programs_
  mutable std::list<std::shared_ptr<const Program>> programs_;  // the last used first
};

}  // namespace resnet_native::cuda
