#include "native/backends/cuda_library.h"

#include <dlfcn.h>

#include <filesystem>
#include <mutex>

#include "native/backends/cuda/entry.h"

namespace resnet_native {
namespace {

struct CudaLibrary {
  std::mutex mutex;
  bool said = false;
  std::vector<std::string> paths;
  std::unique_ptr<Backend> backend;
};

CudaLibrary& Library() {
  static CudaLibrary* library = new CudaLibrary;  // never destroyed: see Sessions() in session.cc
  return *library;
}

[[noreturn]] void Fail(const std::string& message) { throw Error(ErrorCode::kDeviceUnavailable, message); }

// Never closed: its threads and thread-local values may outlive every session.
std::unique_ptr<Backend> Open(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* why = dlerror();
    Fail("the CUDA backend's library cannot be loaded: " + std::string(why ? why : path));
  }
  auto* entry = reinterpret_cast<CudaEntry*>(dlsym(library, kCudaEntry));
  if (!entry) Fail(path + " is not the CUDA backend's library: it has no " + kCudaEntry);
  FencedBackend* backend = entry(kCudaAbi);
  if (!backend) Fail(path + " is of another version of resnet-native: install both of the same version");
  return Disclose(*backend);
}

}  // namespace

void SetCudaLibraries(std::vector<std::string> paths) {
  CudaLibrary& library = Library();
  std::lock_guard lock(library.mutex);
  if (!library.said) library.paths = std::move(paths);
  library.said = true;
}

Backend& CudaBackend() {
  CudaLibrary& library = Library();
  std::lock_guard lock(library.mutex);
  if (library.backend) return *library.backend;
  for (const std::string& path : library.paths) {
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) continue;
    library.backend = Open(path);
    return *library.backend;
  }
  std::string looked;
  for (const std::string& path : library.paths) looked += (looked.empty() ? "" : ", ") + path;
  Fail("the CUDA backend's library is not installed" +
       (looked.empty() ? looked : " (looked for " + looked + ")"));
}

}  // namespace resnet_native
