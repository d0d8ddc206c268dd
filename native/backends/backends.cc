#include "native/backends/backends.h"

namespace resnet_native {
namespace {

constexpr const char* kNoCuda = "this build of resnet-native has no CUDA backend library";

}  // namespace

DeviceRef FindDevice(const std::string& id) {
  if (id == "cpu") return {&CpuBackend(), 0};
  if (id == "reference") return {&ReferenceBackend(), 0};
  if (id == "cuda" || id.starts_with("cuda:")) {
    throw Error(ErrorCode::kDeviceUnavailable, "the device \"" + id + "\" is not available: " + kNoCuda);
  }
  throw Error(ErrorCode::kInvalidArgument, "the device \"" + id + "\" is not known");
}

std::vector<DeviceInfo> AllDevices() {
  std::vector<DeviceInfo> devices;
  for (Backend* backend : {&CpuBackend(), &ReferenceBackend()}) {
    for (DeviceInfo& device : backend->Devices()) devices.push_back(std::move(device));
  }
  devices.push_back(
      {.id = "cuda", .name = "", .available = false, .isa = "", .dtypes = {}, .reason = kNoCuda});
  return devices;
}

}  // namespace resnet_native
