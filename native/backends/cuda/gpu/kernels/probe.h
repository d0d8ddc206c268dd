#pragma once

#include <cuda_runtime_api.h>

namespace resnet_native::cuda {

// Whether the kernels of ours have code for the current device: cudaErrorNoKernelImageForDevice if not.
cudaError_t ProbeKernels();

}  // namespace resnet_native::cuda
