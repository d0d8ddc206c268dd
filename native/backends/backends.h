#pragma once

#include <string>
#include <vector>

#include "native/backend.h"

namespace resnet_native {

struct DeviceRef {
  Backend* backend = nullptr;
  int index = 0;
};

// "cpu", "reference" or "cuda", "cuda:1". Throws kDeviceUnavailable for a device that this build or machine
// lacks and kInvalidArgument for a name that means nothing.
DeviceRef FindDevice(const std::string& id);

// What the backend of that kind found ("cpu", "reference", "cuda"), or every backend if it is empty, and why
// one is missing.
std::vector<DeviceInfo> FindDevices(const std::string& kind);

}  // namespace resnet_native
