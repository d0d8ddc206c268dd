#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "native/backends/cuda/choice_cache.h"
#include "native/backends/cuda/device.h"
#include "native/backends/cuda/kernel_timer.h"

namespace resnet_native::cuda {

// Whether a candidate that may crash works: found out in a process that may do so.
using Trial = std::function<bool(const Operation& operation, const std::string& candidate)>;

// Picks and builds the kernel of each operation, and shares it among all who need the same. Thread-safe: one
// operation is worked on at a time.
class KernelChooser {
 public:
  // `workspace_limit`: kernels that need more are passed over.
  KernelChooser(std::shared_ptr<Device> device, std::shared_ptr<DeviceMemory> memory, ChoiceCache& choices,
                Trial trial, size_t workspace_limit);

  // The remembered choice; else, if `measure`, the fastest candidate, which is then remembered; else the one
  // that was chosen for the same operation at another batch size, or the first that can be built. Throws
  // kUnsupported if none can be had, kOutOfMemory, kDeviceLost.
  std::shared_ptr<const Kernel> Choose(const Operation& operation, bool measure);

  // Gives back the memory that measuring took.
  void DoneMeasuring();

 private:
  std::shared_ptr<const Kernel> BuildBest(const Operation& operation, bool measure);
  std::shared_ptr<const Kernel> Build(const Operation& operation, const std::string& candidate);
  std::shared_ptr<const Kernel> BuildFirst(const Operation& operation, std::vector<Candidate> candidates);
  // The name of the kernel that was chosen for the same layer at the next larger batch size, else the
  // largest; empty if there is none.
  std::string ChoiceOfNearestBatch(Operation operation) const;
  std::shared_ptr<const Kernel> BuildFastest(const Operation& operation,
                                             const std::vector<Candidate>& candidates);

  const std::shared_ptr<Device> device_;
  const std::shared_ptr<DeviceMemory> memory_;
  ChoiceCache& choices_;
  const Trial trial_;
  const size_t workspace_limit_;

  std::mutex mutex_;
  std::unique_ptr<KernelTimer> timer_;
  std::map<std::string, std::weak_ptr<const Kernel>> kernels_;  // by ToString of the operation
  // What was chosen by measuring, by layer and batch size.
  std::map<std::string, std::map<int64_t, std::string>> by_layer_;
};

}  // namespace resnet_native::cuda
