#pragma once

#include <napi.h>

namespace resnet_native {

// (nodes, outputs, parameters, options) => Promise<NativeSession>
Napi::Value CompileGraph(const Napi::CallbackInfo& info);

// () => Promise<NativeDevice[]>
Napi::Value ListDevices(const Napi::CallbackInfo& info);

}  // namespace resnet_native
