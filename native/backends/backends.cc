#include "native/backends/backends.h"

#include <charconv>

#include "native/backends/cuda_library.h"

namespace resnet_native {
namespace {

// A kind of device, and what gives its backend or throws kDeviceUnavailable.
struct Kind {
  const char* name;
  Backend& (*load)();
  bool numbered;  // "cuda:1"; others have one device
};

constexpr Kind kKinds[] = {
    {"cpu", CpuBackend, false},
    {"reference", ReferenceBackend, false},
    {"cuda", CudaBackend, true},
};

// The number behind "cuda:", 0 for "cuda" alone, -1 if it is no device of this kind.
int IndexOf(const Kind& kind, const std::string& id) {
  if (id == kind.name) return 0;
  const std::string prefix = std::string(kind.name) + ":";
  if (!kind.numbered || !id.starts_with(prefix)) return -1;
  int index = -1;
  const char* end = id.data() + id.size();
  const auto parsed = std::from_chars(id.data() + prefix.size(), end, index);
  return parsed.ec == std::errc() && parsed.ptr == end ? index : -1;
}

}  // namespace

DeviceRef FindDevice(const std::string& id) {
  for (const Kind& kind : kKinds) {
    const int index = IndexOf(kind, id);
    if (index >= 0) return {&kind.load(), index};
  }
  throw Error(ErrorCode::kInvalidArgument, "the device \"" + id + "\" is not known");
}

std::vector<DeviceInfo> FindDevices(const std::string& kind_name) {
  std::vector<DeviceInfo> devices;
  for (const Kind& kind : kKinds) {
    if (!kind_name.empty() && kind_name != kind.name) continue;
    try {
      for (DeviceInfo& device : kind.load().Devices()) devices.push_back(std::move(device));
    } catch (const Error& error) {
      devices.push_back({kind.name, "", false, "", {}, error.what()});
    }
  }
  return devices;
}

}  // namespace resnet_native
