#pragma once

#include <memory>

#include "native/backends/cuda/device.h"
#include "native/backends/cuda/libraries.h"

namespace resnet_native::cuda {

// The GPU of this index, as the driver counts. Throws kDeviceUnavailable (its compute capability has no code
// in this build, too), kOutOfMemory or kDeviceLost. `libraries` outlives the device.
std::shared_ptr<Device> OpenGpu(int index, const Libraries& libraries);

// Of the CUDA runtime that is linked in, as CUDA writes it: 13000 is 13.0.
int RuntimeVersion();

}  // namespace resnet_native::cuda
