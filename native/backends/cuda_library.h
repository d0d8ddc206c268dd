#pragma once

#include <string>
#include <vector>

#include "native/backend.h"

namespace resnet_native {

// The files that may be the CUDA backend's library, in the order they are tried. Said once, by whoever knows
// where the addon lies; later calls change nothing. Thread-safe, as all here.
void SetCudaLibraries(std::vector<std::string> paths);

// The backend in the first of them that exists, opened by the first call. Throws kDeviceUnavailable, saying
// what is missing: the library is apart from the addon, so that nothing about CUDA can keep the addon from
// loading.
Backend& CudaBackend();

}  // namespace resnet_native
