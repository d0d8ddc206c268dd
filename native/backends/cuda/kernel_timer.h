#pragma once

#include <memory>

#include "native/backends/cuda/device.h"
#include "native/backends/cuda/device_memory.h"

namespace resnet_native::cuda {

// Measures kernels on made data that has the size and the spread of real data: a GPU computes faster on
// zeros. Holds the memory for one operation at a time. Belongs to one thread at a time.
class KernelTimer {
 public:
  KernelTimer(std::shared_ptr<Device> device, std::shared_ptr<DeviceMemory> memory);

  // The least of several measurements, in milliseconds. Throws what the kernel throws, and kOutOfMemory.
  double Time(const Operation& operation, const Kernel& kernel);

 private:
  void Reserve(const Operation& operation, size_t workspace_bytes);
  void FillWithMadeData(DType dtype, size_t bytes);
  double TimeLaunches(const Kernel& kernel, int launches);

  const std::shared_ptr<Device> device_;
  const std::shared_ptr<DeviceMemory> memory_;
  const std::unique_ptr<Stream> stream_;
  const std::unique_ptr<Event> start_, end_;
  std::string filled_for_;  // the operation whose made data block_ holds
  std::unique_ptr<DeviceMemory::Block> block_;
  Operands operands_;
};

}  // namespace resnet_native::cuda
