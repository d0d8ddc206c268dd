#include "native/backends/cuda/entry.h"

#include "native/backends/cuda/cuda_source.h"
#include "native/backends/cuda/gpu/open_gpu.h"

using resnet_native::Backend;
using namespace resnet_native::cuda;

extern "C" __attribute__((visibility("default"))) Backend* resnet_native_cuda_backend(int abi) {
  if (abi != resnet_native::kCudaAbi) return nullptr;
  // Never destroyed: sessions may still run while the process exits.
  static auto* backend =
      new CudaBackend(std::make_unique<CudaSource>(RuntimeVersion(), DefaultSearch(), OpenGpu));
  return backend;
}
