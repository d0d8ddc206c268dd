#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <memory>

#include "native/backends/cuda/device.h"
#include "native/backends/cuda/gpu/gpu_state.h"

namespace resnet_native::cuda {

// `cublaslt` outlives the stream.
std::unique_ptr<Stream> NewGpuStream(std::shared_ptr<GpuState> state, cublasLtHandle_t cublaslt);
// The stream that one of these is.
cudaStream_t CudaStreamOf(const Stream& stream);
std::unique_ptr<Event> NewGpuEvent(std::shared_ptr<GpuState> state);

}  // namespace resnet_native::cuda
