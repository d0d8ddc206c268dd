#pragma once

#include "native/backend.h"

namespace resnet_native {

// What the CUDA backend's shared library exports. The addon opens the library when a CUDA device is first
// asked for, and both must be built from one version of backend.h and what it includes: whoever changes those
// counts kCudaAbi up.
inline constexpr int kCudaAbi = 1;
inline constexpr const char* kCudaEntry = "resnet_native_cuda_backend";

// The backend, which lives as long as the process; null if the library has another ABI. Throws nothing.
using CudaEntry = Backend*(int abi);

}  // namespace resnet_native
