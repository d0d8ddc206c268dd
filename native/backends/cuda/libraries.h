#pragma once

#include <string>
#include <vector>

namespace resnet_native::cuda {

// The shared libraries that a GPU is used through: opened at run time, so that nothing of CUDA is needed to
// load this library, and never closed.
struct Libraries {
  void* driver = nullptr;    // libcuda.so.1
  void* cudnn = nullptr;     // libcudnn.so.9
  void* cublaslt = nullptr;  // libcublasLt of the runtime's major version
  int driver_version = 0;    // the newest CUDA it runs, as CUDA writes it: 13000 is 13.0
  size_t cudnn_version = 0;  // 91200 is 9.12
  size_t cublaslt_version = 0;
};

// Where they are looked for.
struct LibrarySearch {
  bool loader = true;                // first where the system's loader looks
  std::vector<std::string> folders;  // then here, in this order
};

// Below CUDNN_PATH and CUDA_PATH (their lib64 and lib), then the folders of NVIDIA's PyPI wheels
// (nvidia/cudnn/lib, nvidia/cu13/lib, …) in the Pythons of VIRTUAL_ENV, CONDA_PREFIX and PYTHONPATH and those
// of the system.
LibrarySearch DefaultSearch();

// `runtime_version`: of the CUDA runtime linked into this library, as CUDA writes it. Throws
// kDeviceUnavailable, saying what is missing or does not fit and what to do: no driver, a driver too old for
// the runtime, no cuBLASLt, no cuDNN, cuDNN too old or made for another CUDA.
Libraries LoadLibraries(int runtime_version, const LibrarySearch& search);

// nvJPEG, which only decoding needs. Throws kDeviceUnavailable, as above.
void* LoadNvjpeg(int runtime_version, const LibrarySearch& search);

// "13.0" of 13000.
std::string ShowCudaVersion(int version);

}  // namespace resnet_native::cuda
