#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "native/addon/memory.h"
#include "native/backend.h"

namespace resnet_native {

// What keeps a batch's memory, and where its images are.
struct HeldImages {
  std::vector<std::shared_ptr<const void>> owners;
  std::vector<const void*> images;
};

// Reads a batch of images, of 1 to `max_batch`, as lib/runtime/native.ts types it (NativeInput). `held` has
// to outlive what is returned.
InputBatch InputFromJs(const Napi::Object& js, int channels, int max_batch, HeldImages* held);

}  // namespace resnet_native
