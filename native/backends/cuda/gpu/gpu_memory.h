#pragma once

#include <memory>

#include "native/backends/cuda/device.h"
#include "native/backends/cuda/gpu/gpu_state.h"

namespace resnet_native::cuda {

// Memory of the device, and memory of the host that the device copies from and to by itself.
std::unique_ptr<Buffer> NewDeviceBuffer(std::shared_ptr<GpuState> state, size_t bytes);
std::unique_ptr<Buffer> NewPinnedBuffer(std::shared_ptr<GpuState> state, size_t bytes);

}  // namespace resnet_native::cuda
