#pragma once

#include "native/backends/cuda/fence.h"

namespace resnet_native {

// What the CUDA backend's shared library exports. The addon opens the library when a CUDA device is first
// asked for, and both must be built from one version of fence.h and what it includes: whoever changes those
// counts kCudaAbi up.
inline constexpr int kCudaAbi = 2;
inline constexpr const char* kCudaEntry = "resnet_native_cuda_backend";

// The backend, which lives as long as the process; null if the library has another ABI. Throws nothing.
using CudaEntry = FencedBackend*(int abi);

// For the program beside the library that tries candidates which may crash, see cuda/trial.h: 0 if it runs.
inline constexpr const char* kCudaTrial = "resnet_native_cuda_try";
using CudaTrial = int(const char* device, const char* operation, const char* candidate);

}  // namespace resnet_native
