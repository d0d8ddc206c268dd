#pragma once

#include <string>

namespace resnet_native::cuda {

// The shared libraries that a GPU is used through: opened at run time, so that nothing of CUDA is needed to
// load this library, and never closed. Each is looked for where the loader looks, then below CUDNN_PATH and
// CUDA_PATH (their lib64 and lib), then in the folders of NVIDIA's PyPI wheels (nvidia/cudnn/lib,
// nvidia/cu13/lib, …) of the Pythons that VIRTUAL_ENV, CONDA_PREFIX and PYTHONPATH name.
struct Libraries {
  void* driver = nullptr;    // libcuda.so.1
  void* cudnn = nullptr;     // libcudnn.so.9
  void* cublaslt = nullptr;  // libcublasLt of the runtime's major version
  int driver_version = 0;    // the newest CUDA it runs, as CUDA writes it: 13000 is 13.0
  size_t cudnn_version = 0;  // 91200 is 9.12
  size_t cublaslt_version = 0;
};

// The CUDA version that the runtime linked into this library has, as CUDA writes it.
inline constexpr int kRuntimeVersion = 13000;

// Opened by the first call that succeeds; thread-safe. Throws kDeviceUnavailable, saying what is missing or
// does not fit and what to do: no driver, a driver too old for the runtime, no cuDNN, cuDNN of another major
// version or too old, no cuBLASLt.
const Libraries& LoadLibraries();

}  // namespace resnet_native::cuda
