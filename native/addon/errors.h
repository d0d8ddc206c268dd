#pragma once

#include <napi.h>

#include <exception>
#include <functional>
#include <utility>

namespace resnet_native {

// The JavaScript error for any C++ exception: made by the function that lib/runtime/native.ts hands to
// connect, so that errors are ResNetErrors from the start.
Napi::Value ToJsError(Napi::Env env, const std::exception_ptr& error);

// Makes the value of a promise, on the JavaScript thread.
using Finish = std::function<Napi::Value(Napi::Env)>;

// Rejects with `error` if there is one, and otherwise resolves with what `finish` makes. Does nothing in an
// environment that is being torn down.
void Settle(Napi::Env env, const Napi::Promise::Deferred& deferred, const std::exception_ptr& error,
            const Finish& finish);

// A JavaScript function whose C++ exceptions become JavaScript's.
template <class Body>
Napi::Function MakeFunction(Napi::Env env, const char* name, Body body) {
  const auto guarded = [body = std::move(body)](const Napi::CallbackInfo& info) -> Napi::Value {
    try {
      return body(info);
    } catch (const Napi::Error&) {
      throw;
    } catch (...) {
      throw Napi::Error(info.Env(), ToJsError(info.Env(), std::current_exception()));
    }
  };
  return Napi::Function::New(env, guarded, name);
}

}  // namespace resnet_native
