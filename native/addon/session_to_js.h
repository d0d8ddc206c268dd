#pragma once

#include <napi.h>

#include <memory>

#include "native/session.h"

namespace resnet_native {

// The NativeSession of lib/runtime/native.ts: one environment's hold on a session. `weight_bytes`, if not
// zero, is told to V8 as memory that the object keeps.
Napi::Value SessionToJs(Napi::Env env, std::shared_ptr<Session> session, int64_t weight_bytes);

// (handle: bigint) => NativeSession
Napi::Value Attach(const Napi::CallbackInfo& info);

}  // namespace resnet_native
