#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>

#include "native/addon/completions.h"

namespace resnet_native {

// What the addon keeps for one JavaScript environment: the main thread or a worker.
struct Environment {
  std::shared_ptr<Completions> completions;
  Napi::FunctionReference error_factory;
  size_t max_buffer_bytes = SIZE_MAX;  // the largest ArrayBuffer that this JavaScript engine takes

  static void Set(Napi::Env env);
  static Environment& Of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }
};

}  // namespace resnet_native
