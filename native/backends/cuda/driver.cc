#include "native/backends/cuda/driver.h"

#include <dlfcn.h>

#include <string>

#include "native/error.h"

// The few functions of the driver that tell what there is, declared here as cuda.h declares them: asking
// costs no context on the GPU, and needs no header of CUDA.

namespace resnet_native::cuda {
namespace {

constexpr int kNoDevice = 100;                         // CUDA_ERROR_NO_DEVICE
constexpr int kComputeMajor = 75, kComputeMinor = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR

class Driver {
 public:
  explicit Driver(void* library) : library_(library) {}

  // Throws kDeviceUnavailable, with the driver's own words, if it returns an error.
  template <class... Parameters>
  void Call(const char* name, Parameters... parameters) const {
    auto* function = reinterpret_cast<int (*)(Parameters...)>(dlsym(library_, name));
    if (!function)
      throw Error(ErrorCode::kDeviceUnavailable, std::string("libcuda.so.1 has no function ") + name);
    const int status = function(parameters...);
    if (status == kNoDevice) throw Error(ErrorCode::kDeviceUnavailable, "the NVIDIA driver shows no GPU");
    if (status != 0)
      throw Error(ErrorCode::kDeviceUnavailable, std::string(name) + " failed: " + Describe(status));
  }

 private:
  std::string Describe(int status) const {
    const auto get = reinterpret_cast<int (*)(int, const char**)>(dlsym(library_, "cuGetErrorString"));
    const char* text = nullptr;
    const bool known = get && get(status, &text) == 0 && text;
    return (known ? std::string(text) : "error") + " (" + std::to_string(status) + ")";
  }

  void* const library_;
};

// The architectures that scripts and CMake build for: code for 8.0 to 10.x, and PTX for what comes
// after 12.0. A GPU runs code of its own major version only.
bool HasCodeFor(int major) { return (major >= 8 && major <= 10) || major >= 12; }

DeviceInfo DescribeGpu(const Driver& driver, int index) {
  int device = 0, major = 0, minor = 0;
  char name[256] = "";
  driver.Call("cuDeviceGet", &device, index);
  driver.Call("cuDeviceGetName", &name[0], static_cast<int>(sizeof(name) - 1), device);
  driver.Call("cuDeviceGetAttribute", &major, kComputeMajor, device);
  driver.Call("cuDeviceGetAttribute", &minor, kComputeMinor, device);
  const std::string capability = std::to_string(major) + '.' + std::to_string(minor);
  DeviceInfo info{"cuda:" + std::to_string(index),
                  name,
                  true,
                  capability,
                  {"float32", "tf32", "float16", "bfloat16", "int8"},
                  ""};
  if (!HasCodeFor(major)) {
    info.available = false;
    info.dtypes.clear();
    info.reason = info.name + " has compute capability " + capability +
                  "; this build has code for 8.0 to 10.x and 12.0 on";
  }
  return info;
}

}  // namespace

std::vector<DeviceInfo> ListGpus(void* library) {
  const Driver driver(library);
  int count = 0;
  driver.Call("cuInit", 0u);
  driver.Call("cuDeviceGetCount", &count);
  if (count == 0) throw Error(ErrorCode::kDeviceUnavailable, "the NVIDIA driver shows no GPU");
  std::vector<DeviceInfo> devices;
  for (int i = 0; i < count; ++i) devices.push_back(DescribeGpu(driver, i));
  return devices;
}

}  // namespace resnet_native::cuda
