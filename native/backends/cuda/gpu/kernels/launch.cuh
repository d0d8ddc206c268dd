#pragma once

#include "native/backends/cuda/gpu/kernels/grid.h"
#include "native/backends/cuda/gpu/kernels/launch.h"

namespace resnet_native::cuda {

inline constexpr int kThreadsPerBlock = 256;

template <class Body>
__global__ void __launch_bounds__(kThreadsPerBlock) RunThreads(const __grid_constant__ Body body) {
  const uint32_t thread = blockIdx.x * kThreadsPerBlock + threadIdx.x;
  if (thread < body.threads) body(thread);
}

template <class Body>
__global__ void __launch_bounds__(Body::kThreads) RunBlocks(const __grid_constant__ Body body) {
  __shared__ typename Body::Shared shared;
  for (int phase = 0; phase < body.phases(); ++phase) {
    if (phase > 0) __syncthreads();
    body(phase, blockIdx.x, static_cast<int>(threadIdx.x), shared);
  }
}

template <class Body>
cudaError_t LaunchBody(const Body& body, cudaStream_t stream) {
  if constexpr (requires { typename Body::Shared; }) {
    if (body.blocks == 0) return cudaSuccess;
    RunBlocks<<<body.blocks, Body::kThreads, 0, stream>>>(body);
  } else {
    if (body.threads == 0) return cudaSuccess;
    RunThreads<<<(body.threads - 1) / kThreadsPerBlock + 1, kThreadsPerBlock, 0, stream>>>(body);
  }
  return cudaGetLastError();
}

}  // namespace resnet_native::cuda
