#pragma once

#include <cuda_runtime_api.h>

namespace resnet_native::cuda {

// Queues a body (grid.h) on a stream of the current device. The bodies that there are are instantiated in the
// .cu files beside this.
template <class Body>
cudaError_t LaunchBody(const Body& body, cudaStream_t stream);

}  // namespace resnet_native::cuda
