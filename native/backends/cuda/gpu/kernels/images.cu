#include "native/backends/cuda/gpu/kernels/launch.cuh"
#include "native/backends/cuda/gpu/kernels/resample.h"

// What stands before the network.

namespace resnet_native::cuda {

template cudaError_t LaunchBody(const ResampleBytes&, cudaStream_t);

}  // namespace resnet_native::cuda
