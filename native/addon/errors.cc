#include "native/addon/errors.h"

#include <new>
#include <string>

#include "native/addon/environment.h"
#include "native/error.h"

namespace resnet_native {
namespace {

Napi::Value MakeError(Napi::Env env, ErrorCode code, const std::string& message) {
  const Napi::FunctionReference& factory = Environment::Of(env).error_factory;
  const Napi::String js_code = Napi::String::New(env, ErrorCodeName(code));
  const Napi::String js_message = Napi::String::New(env, message);
  if (!factory.IsEmpty()) return factory.Call({js_code, js_message});
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", js_code);
  return error.Value();
}

}  // namespace

Napi::Value ToJsError(Napi::Env env, const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Napi::Error& thrown_by_js) {
    return thrown_by_js.Value();
  } catch (const Error& ours) {
    return MakeError(env, ours.code(), ours.what());
  } catch (const std::bad_alloc&) {
    return MakeError(env, ErrorCode::kOutOfMemory, "out of memory; use smaller batches");
  } catch (const std::exception& other) {
    return MakeError(env, ErrorCode::kInternal, other.what());
  }
}

void Settle(Napi::Env env, const Napi::Promise::Deferred& deferred, const std::exception_ptr& error,
            const Finish& finish) {
  try {
    try {
      if (error) std::rethrow_exception(error);
      deferred.Resolve(finish(env));
    } catch (...) {
      deferred.Reject(ToJsError(env, std::current_exception()));
    }
  } catch (const Napi::Error&) {
    // The environment is being torn down: it can run no JavaScript, so nobody waits for the promise.
  }
}

}  // namespace resnet_native
