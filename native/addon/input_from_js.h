#pragma once

#include <napi.h>

#include "native/addon/memory.h"
#include "native/backend.h"

namespace resnet_native {

// Reads a batch of images, of 1 to `max_batch`, as lib/runtime/native.ts types it (NativeInput). `held` keeps
// its memory.
InputBatch InputFromJs(const Napi::Object& js, int channels, int max_batch, HeldBytes* held);

}  // namespace resnet_native
