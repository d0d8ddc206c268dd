#include <napi.h>

#include "native/addon/calibrate.h"
#include "native/addon/compile.h"
#include "native/addon/environment.h"
#include "native/addon/errors.h"
#include "native/addon/image.h"
#include "native/addon/js_values.h"
#include "native/addon/memory.h"
#include "native/addon/peak.h"
#include "native/addon/session_to_js.h"
#include "native/backends/cuda_library.h"
#include "native/image/jpeg.h"

// The surface that lib/runtime/native.ts types. Called once for each environment that loads the addon.

namespace resnet_native {
namespace {

// (makeError: (code: string, message: string) => Error, maxBufferBytes: number, cudaLibraries: string[]) =>
// void
Napi::Value Connect(const Napi::CallbackInfo& info) {
  if (!info[0].IsFunction()) throw Error(ErrorCode::kInvalidArgument, "expected a function for makeError");
  Environment& environment = Environment::Of(info.Env());
  environment.error_factory = Napi::Persistent(info[0].As<Napi::Function>());
  environment.max_buffer_bytes =
      static_cast<size_t>(ToInteger(info[1], "maxBufferBytes", 1, kMaxSafeInteger));
  SetCudaLibraries(ToTexts(info[2], "cudaLibraries"));
  return info.Env().Undefined();
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  Environment::Set(env);
  exports["connect"] = MakeFunction(env, "connect", Connect);
  exports["compile"] = MakeFunction(env, "compile", CompileGraph);
  exports["calibrate"] = MakeFunction(env, "calibrate", StartCalibration);
  exports["attach"] = MakeFunction(env, "attach", Attach);
  exports["devices"] = MakeFunction(env, "devices", ListDevices);
  exports["allocate"] = MakeFunction(env, "allocate", Allocate);
  exports["discard"] = MakeFunction(env, "discard", Discard);
  exports["measurePeak"] = MakeFunction(env, "measurePeak", MeasurePeak);
  exports["resizeCrop"] = MakeFunction(env, "resizeCrop", ResizeCropImage);
  exports["decodeJpegs"] = MakeFunction(env, "decodeJpegs", DecodeJpegs);
  if (DecodesJpeg()) exports["resizeCropJpeg"] = MakeFunction(env, "resizeCropJpeg", ResizeCropJpeg);
  return exports;
}

}  // namespace
}  // namespace resnet_native

static Napi::Object InitAddon(Napi::Env env, Napi::Object exports) {
  return resnet_native::Init(env, exports);
}
NODE_API_MODULE(resnet_native, InitAddon)
