#pragma once

#include <napi.h>

#include <memory>

#include "native/addon/completions.h"

namespace resnet_native {

// What the addon keeps for one JavaScript environment: the main thread or a worker.
struct Environment {
  std::shared_ptr<Completions> completions;
  Napi::FunctionReference error_factory;

  static void Set(Napi::Env env);
  static Environment& Of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }
};

}  // namespace resnet_native
