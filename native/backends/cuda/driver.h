#pragma once

#include <vector>

#include "native/backend.h"

namespace resnet_native::cuda {

// The GPUs that the driver shows, "cuda:0" and on, with what each can be used for. `driver` is libcuda.so.1,
// opened. Throws kDeviceUnavailable if it shows none, saying why.
std::vector<DeviceInfo> ListGpus(void* driver);

}  // namespace resnet_native::cuda
