#include "native/addon/calibrate.h"

#include "native/addon/graph_from_js.h"
#include "native/addon/input_from_js.h"
#include "native/addon/js_values.h"
#include "native/addon/worker_task.h"
#include "native/backends/backends.h"
#include "native/calibration/calibrator.h"

namespace resnet_native {
namespace {

constexpr int64_t kMaxThreads = 1024;

struct Request {
  Graph graph;
  std::string device;
  int threads = 0;
};

CalibrationMethod ReadMethod(const std::string& name) {
  if (name == "minmax") return CalibrationMethod::kMinMax;
  if (name == "percentile") return CalibrationMethod::kPercentile;
  if (name == "mse") return CalibrationMethod::kMse;
  throw Error(ErrorCode::kInvalidArgument, "the calibration method \"" + name + "\" is not known");
}

// (input: NativeInput) => Promise<void>
Napi::Value Collect(const std::shared_ptr<Calibrator>& calibrator, int channels,
                    const Napi::CallbackInfo& info) {
  auto held = std::make_shared<HeldImages>();
  const InputBatch batch = InputFromJs(ToObject(info[0], "input"), channels, kMaxInt, held.get());
  return RunOnWorker(info.Env(), [calibrator, batch, held]() -> Finish {
    calibrator->Collect(batch);
    return [](Napi::Env env) { return env.Undefined(); };
  });
}

// (method: string, percentile: number) => Promise<Record<node, scale>>
Napi::Value Scales(const std::shared_ptr<Calibrator>& calibrator, const Napi::CallbackInfo& info) {
  const CalibrationMethod method = ReadMethod(ToText(info[0], "method"));
  const double percentile = ToFiniteNumber(info[1], "percentile");
  return RunOnWorker(info.Env(), [calibrator, method, percentile]() -> Finish {
    const auto scales = calibrator->Scales(method, percentile);
    return [scales](Napi::Env env) {
      Napi::Object js = Napi::Object::New(env);
      for (const auto& [node, scale] : scales) js[node] = Napi::Number::New(env, scale);
      return js;
    };
  });
}

Napi::Value CalibratorToJs(Napi::Env env, const std::shared_ptr<Calibrator>& calibrator, int channels) {
  Napi::Object js = Napi::Object::New(env);
  js["collect"] = MakeFunction(
      env, "collect", [=](const Napi::CallbackInfo& info) { return Collect(calibrator, channels, info); });
  js["scales"] =
      MakeFunction(env, "scales", [=](const Napi::CallbackInfo& info) { return Scales(calibrator, info); });
  return js;
}

}  // namespace

Napi::Value StartCalibration(const Napi::CallbackInfo& info) {
  auto request = std::make_shared<Request>();
  const Napi::Object options = ToObject(info[3], "options");
  request->device = ToText(options.Get("device"), "device");
  request->threads = static_cast<int>(ToInteger(options.Get("threads"), "threads", 0, kMaxThreads));
  request->graph = GraphFromJs(info[0], info[1], info[2]);
  return RunOnWorker(info.Env(), [request]() -> Finish {
    Validate(request->graph);
    const int channels = std::get<InputOp>(request->graph.nodes[0].op).channels;
    const DeviceRef device = FindDevice(request->device);
    CompileOptions compile;
    compile.device_index = device.index;
    compile.threads = request->threads;
    const auto calibrator = std::make_shared<Calibrator>(std::move(request->graph), *device.backend, compile);
    return [=](Napi::Env env) { return CalibratorToJs(env, calibrator, channels); };
  });
}

}  // namespace resnet_native
