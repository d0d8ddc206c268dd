#pragma once

#include <napi.h>

namespace resnet_native {

// (threads: number) => Promise<{ gflops: { float32 }, bandwidth }>
Napi::Value MeasurePeak(const Napi::CallbackInfo& info);

}  // namespace resnet_native
