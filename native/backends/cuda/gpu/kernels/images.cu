#include "native/backends/cuda/gpu/kernels/launch.cuh"
#include "native/backends/cuda/gpu/kernels/resample.h"
#include "native/backends/cuda/gpu/kernels/top_k.h"

// What stands before the network and behind it.

namespace resnet_native::cuda {

template cudaError_t LaunchBody(const ResampleBytes&, cudaStream_t);
template cudaError_t LaunchBody(const TopClasses&, cudaStream_t);

}  // namespace resnet_native::cuda
