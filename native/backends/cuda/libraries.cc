#include "native/backends/cuda/libraries.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "native/error.h"

namespace resnet_native::cuda {
namespace {

namespace fs = std::filesystem;

// The oldest cuDNN 9 whose graph API runs what is asked of it.
constexpr size_t kOldestCudnn = 90300;

[[noreturn]] void Fail(const std::string& message) { throw Error(ErrorCode::kDeviceUnavailable, message); }

std::string EnvironmentVariable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// The folders of NVIDIA's wheels in a Python's folder of packages.
void AddWheels(const fs::path& packages, std::vector<std::string>* folders) {
  for (const char* part : {"cudnn", "cu13", "cublas", "cuda_nvrtc"}) {
    const fs::path folder = packages / "nvidia" / part / "lib";
    std::error_code ignored;
    if (fs::is_directory(folder, ignored)) folders->push_back(folder.string());
  }
}

// prefix/lib/python3.12/site-packages and the like.
void AddPythonsBelow(const fs::path& prefix, std::vector<std::string>* folders) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(prefix / "lib", error)) {
    if (!entry.path().filename().string().starts_with("python3")) continue;
    AddWheels(entry.path() / "site-packages", folders);
    AddWheels(entry.path() / "dist-packages", folders);
  }
}

// Null if there is none; a library that is there but cannot be loaded is an error worth telling.
void* Open(const std::string& name, const LibrarySearch& search) {
  if (search.loader) {
    if (void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  }
  for (const std::string& folder : search.folders) {
    const std::string path = (fs::path(folder) / name).string();
    std::error_code ignored;
    if (!fs::exists(path, ignored)) continue;
    if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    const char* why = dlerror();
    Fail(path + " cannot be loaded: " + (why ? why : "unknown error"));
  }
  return nullptr;
}

template <class Function>
Function* Symbol(void* library, const std::string& library_name, const char* name) {
  auto* function = reinterpret_cast<Function*>(dlsym(library, name));
  if (!function)
    Fail(library_name + " has no function " + name + ": it is damaged or not what its name says");
  return function;
}

std::string ShowCudnnVersion(size_t version) {
  return std::to_string(version / 10000) + '.' + std::to_string(version / 100 % 100) + '.' +
         std::to_string(version % 100);
}

void OpenDriver(int runtime_version, const LibrarySearch& search, Libraries* libraries) {
  libraries->driver = Open("libcuda.so.1", search);
  if (!libraries->driver)
    Fail("no NVIDIA driver was found (libcuda.so.1): install one, or start the container with GPUs");
  const auto get_version = Symbol<int(int*)>(libraries->driver, "libcuda.so.1", "cuDriverGetVersion");
  if (get_version(&libraries->driver_version) != 0) Fail("the NVIDIA driver does not tell its version");
  // A driver runs every runtime of its major version, and all before.
  if (libraries->driver_version / 1000 < runtime_version / 1000) {
    Fail("the NVIDIA driver runs CUDA up to " + ShowCudaVersion(libraries->driver_version) +
         ", but this build has the runtime of CUDA " + ShowCudaVersion(runtime_version) +
         ": update the driver");
  }
}

void OpenCublasLt(const std::string& major, const LibrarySearch& search, Libraries* libraries) {
  const std::string name = "libcublasLt.so." + major;
  libraries->cublaslt = Open(name, search);
  if (!libraries->cublaslt) {
    Fail("cuBLASLt was not found (" + name + "): install CUDA " + major +
         ", or pip install nvidia-cublas and set CUDA_PATH");
  }
  libraries->cublaslt_version = Symbol<size_t()>(libraries->cublaslt, name, "cublasLtGetVersion")();
}

void OpenCudnn(int runtime_version, const LibrarySearch& search, Libraries* libraries) {
  const std::string name = "libcudnn.so.9";
  const std::string major = std::to_string(runtime_version / 1000);
  libraries->cudnn = Open(name, search);
  if (!libraries->cudnn) {
    Fail("cuDNN 9 was not found (" + name + "): install it, or pip install nvidia-cudnn-cu" + major +
         " and set CUDNN_PATH to its folder");
  }
  libraries->cudnn_version = Symbol<size_t()>(libraries->cudnn, name, "cudnnGetVersion")();
  if (libraries->cudnn_version / 10000 != 9 || libraries->cudnn_version < kOldestCudnn) {
    Fail("cuDNN is " + ShowCudnnVersion(libraries->cudnn_version) + ", but 9 from " +
         ShowCudnnVersion(kOldestCudnn) + " on is needed: update it");
  }
  const size_t made_for = Symbol<size_t()>(libraries->cudnn, name, "cudnnGetCudartVersion")();
  if (made_for / 1000 != static_cast<size_t>(runtime_version / 1000)) {
    Fail("cuDNN " + ShowCudnnVersion(libraries->cudnn_version) + " is made for CUDA " +
         ShowCudaVersion(static_cast<int>(made_for)) + ", but this build is for CUDA " +
         ShowCudaVersion(runtime_version) + ": install nvidia-cudnn-cu" + major);
  }
}

}  // namespace

std::string ShowCudaVersion(int version) {
  return std::to_string(version / 1000) + '.' + std::to_string(version % 1000 / 10);
}

LibrarySearch DefaultSearch() {
  LibrarySearch search;
  for (const char* variable : {"CUDNN_PATH", "CUDA_PATH"}) {
    const fs::path root = EnvironmentVariable(variable);
    if (root.empty()) continue;
    search.folders.push_back((root / "lib64").string());
    search.folders.push_back((root / "lib").string());
  }
  for (const char* variable : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    const std::string prefix = EnvironmentVariable(variable);
    if (!prefix.empty()) AddPythonsBelow(prefix, &search.folders);
  }
  std::istringstream python_path(EnvironmentVariable("PYTHONPATH"));
  for (std::string entry; std::getline(python_path, entry, ':');) AddWheels(entry, &search.folders);
  for (const char* prefix : {"/usr/local", "/usr"}) AddPythonsBelow(prefix, &search.folders);
  return search;
}

void* LoadNvjpeg(int runtime_version, const LibrarySearch& search) {
  const std::string major = std::to_string(runtime_version / 1000);
  const std::string name = "libnvjpeg.so." + major;
  if (void* library = Open(name, search)) return library;
  Fail("decoding on the GPU needs nvJPEG, which was not found (" + name + "): install CUDA " + major +
       ", or pip install nvidia-nvjpeg and set CUDA_PATH; or use `decode: 'host'`");
}

Libraries LoadLibraries(int runtime_version, const LibrarySearch& search) {
  Libraries libraries;
  const std::string major = std::to_string(runtime_version / 1000);
  OpenDriver(runtime_version, search, &libraries);
  // Before cuDNN, which asks the loader for these by name: it then gets those that are loaded. Without nvrtc
  // some of its plans cannot be built, and others are taken.
  OpenCublasLt(major, search, &libraries);
  Open("libnvrtc.so." + major, search);
  OpenCudnn(runtime_version, search, &libraries);
  return libraries;
}

}  // namespace resnet_native::cuda
