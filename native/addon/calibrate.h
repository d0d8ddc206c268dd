#pragma once

#include <napi.h>

namespace resnet_native {

// (nodes, outputs, parameters, options) => Promise<NativeCalibration>
Napi::Value StartCalibration(const Napi::CallbackInfo& info);

}  // namespace resnet_native
