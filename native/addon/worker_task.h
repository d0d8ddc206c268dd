#pragma once

#include <napi.h>

#include <functional>

#include "native/addon/errors.h"

namespace resnet_native {

// Runs `work` on a libuv worker thread and settles the promise, on the JavaScript thread, with what `work`
// returned or threw. `work` is destroyed on the JavaScript thread, so it may hold references to JavaScript
// values.
void RunOnWorker(Napi::Env env, const Napi::Promise::Deferred& deferred, std::function<Finish()> work);

inline Napi::Promise RunOnWorker(Napi::Env env, std::function<Finish()> work) {
  const auto deferred = Napi::Promise::Deferred::New(env);
  RunOnWorker(env, deferred, std::move(work));
  return deferred.Promise();
}

}  // namespace resnet_native
