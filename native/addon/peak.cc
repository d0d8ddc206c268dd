#include "native/addon/peak.h"

#include "native/addon/js_values.h"
#include "native/addon/worker_task.h"
#include "native/backends/cpu/peak.h"

namespace resnet_native {
namespace {

constexpr int64_t kMaxThreads = 1024;

Napi::Value ToJs(Napi::Env env, const cpu::Peak& peak) {
  Napi::Object gflops = Napi::Object::New(env);
  gflops["float32"] = Napi::Number::New(env, peak.float32_gflops);
  gflops["bfloat16"] = Napi::Number::New(env, peak.bfloat16_gflops);
  gflops["int8"] = Napi::Number::New(env, peak.int8_gops);
  Napi::Object js = Napi::Object::New(env);
  js["gflops"] = gflops;
  js["bandwidth"] = Napi::Number::New(env, peak.bandwidth);
  return js;
}

}  // namespace

Napi::Value MeasurePeak(const Napi::CallbackInfo& info) {
  const int threads = static_cast<int>(ToInteger(info[0], "threads", 1, kMaxThreads));
  return RunOnWorker(info.Env(), [threads]() -> Finish {
    const cpu::Peak peak = cpu::MeasurePeak(threads);
    return [peak](Napi::Env env) { return ToJs(env, peak); };
  });
}

}  // namespace resnet_native
