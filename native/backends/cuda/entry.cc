#include "native/backends/cuda/entry.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>

#include "native/backends/cuda/cuda_source.h"
#include "native/backends/cuda/gpu/open_gpu.h"
#include "native/backends/cuda/trial.h"

using resnet_native::FencedBackend;
using namespace resnet_native::cuda;

namespace {

// This library's own file; its program for trials lies beside it.
std::string OwnPath() {
  Dl_info info;
  return dladdr(reinterpret_cast<void*>(&OwnPath), &info) != 0 ? info.dli_fname : "";
}

std::unique_ptr<CudaSource> MakeSource() {
  const std::string library = OwnPath();
  const std::string program =
      std::filesystem::path(library).replace_filename("resnet_native_cuda_trial").string();
  return std::make_unique<CudaSource>(
      RuntimeVersion(), DefaultSearch(), OpenGpu,
      [library, program](int device, const Operation& operation, const std::string& candidate) {
        return TryInChild(program, library, device, operation, candidate);
      });
}

}  // namespace

extern "C" __attribute__((visibility("default"))) FencedBackend* resnet_native_cuda_backend(int abi) {
  if (abi != resnet_native::kCudaAbi) return nullptr;
  // Never destroyed: sessions may still run while the process exits.
  static FencedBackend* backend =
      resnet_native::Enclose(std::make_unique<CudaBackend>(MakeSource())).release();
  return backend;
}

extern "C" __attribute__((visibility("default"))) int resnet_native_cuda_try(const char* device,
                                                                             const char* operation,
                                                                             const char* candidate) {
  try {
    Try(*MakeSource()->Open(std::atoi(device)), FromArgument(operation), candidate);
    return 0;
  } catch (const std::exception&) {
    return 1;
  }
}
