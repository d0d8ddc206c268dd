#include "native/addon/compile.h"

#include "native/addon/graph_from_js.h"
#include "native/addon/js_values.h"
#include "native/addon/session_to_js.h"
#include "native/addon/worker_task.h"
#include "native/backends/backends.h"
#include "native/session.h"

namespace resnet_native {
namespace {

constexpr int64_t kMaxThreads = 1024;
constexpr int64_t kMaxNiceness = 19;

struct CompileRequest {
  Graph graph;
  std::vector<std::string> devices;
  CompileOptions compile;
  SessionOptions session;
};

DType ReadDType(const std::string& name) {
  if (name == "float32") return DType::kFloat32;
  if (name == "tf32") return DType::kTf32;
  if (name == "float16") return DType::kFloat16;
  if (name == "bfloat16") return DType::kBfloat16;
  if (name == "int8") return DType::kInt8;
  throw Error(ErrorCode::kInvalidArgument, "the dtype \"" + name + "\" is not known");
}

Autotune ReadAutotune(const std::string& name) {
  if (name == "off") return Autotune::kOff;
  if (name == "quick") return Autotune::kQuick;
  if (name == "full") return Autotune::kFull;
  throw Error(ErrorCode::kInvalidArgument, "autotune \"" + name + "\" is not known");
}

std::vector<std::pair<std::string, std::string>> ReadPlan(const Napi::Array& js) {
  std::vector<std::pair<std::string, std::string>> plan;
  for (uint32_t i = 0; i < js.Length(); ++i) {
    const std::string name = "plan[" + std::to_string(i) + "]";
    const std::vector<std::string> pair = ToTexts(js.Get(i), name);
    if (pair.size() != 2)
      throw Error(ErrorCode::kInvalidArgument, name + ": expected a node and an algorithm");
    plan.emplace_back(pair[0], pair[1]);
  }
  return plan;
}

void ReadOptions(const Napi::Object& js, CompileRequest* request) {
  const auto integer = [&](const char* key, int64_t min, int64_t max) {
    return static_cast<int>(ToInteger(js.Get(key), key, min, max));
  };
  request->devices = ToTexts(js.Get("devices"), "devices");
  request->compile.dtype = ReadDType(ToText(js.Get("dtype"), "dtype"));
  request->compile.max_batch = integer("maxBatch", 1, kMaxInt);
  request->compile.threads = integer("threads", 0, kMaxThreads);
  const bool low = ToText(js.Get("memory"), "memory") == "low";
  request->compile.memory = low ? MemoryMode::kLow : MemoryMode::kAuto;
  request->compile.autotune = ReadAutotune(ToText(js.Get("autotune"), "autotune"));
  request->compile.plan = ReadPlan(ToArray(js.Get("plan"), "plan"));
  request->compile.height = integer("height", 0, kMaxInt);
  request->compile.width = integer("width", 0, kMaxInt);
  request->compile.memory_budget = ToInteger(js.Get("memoryBudget"), "memoryBudget", 0, kMaxSafeInteger);
  request->compile.cache_folder = ToText(js.Get("cacheFolder"), "cacheFolder");
  request->session.contexts = integer("contexts", 0, kMaxThreads);
  request->session.max_batch = request->compile.max_batch;
  request->session.niceness = integer("niceness", 0, kMaxNiceness);
  request->session.description = ToText(js.Get("description"), "description");
}

int64_t WeightBytes(const Graph& graph) {
  int64_t values = 0;
  for (const Node& node : graph.nodes) {
    if (const auto* conv = std::get_if<Conv2dOp>(&node.op)) values += conv->filters.values.size();
    if (const auto* linear = std::get_if<LinearOp>(&node.op)) values += linear->filters.values.size();
  }
  return values * static_cast<int64_t>(sizeof(float));
}

std::shared_ptr<Session> MakeSession(CompileRequest& request) {
  Validate(request.graph);
  if (request.devices.empty()) throw Error(ErrorCode::kInvalidArgument, "expected at least one device");
  std::vector<std::shared_ptr<const Plan>> plans;
  for (const std::string& name : request.devices) {
    const DeviceRef device = FindDevice(name);
    CompileOptions options = request.compile;
    options.device_index = device.index;
    plans.push_back(device.backend->Compile(request.graph, options));  // the copy shares the weights
  }
  request.graph = Graph();
  return Session::Create(std::move(plans), std::move(request.session));
}

Napi::Value DeviceToJs(Napi::Env env, const DeviceInfo& device) {
  Napi::Array dtypes = Napi::Array::New(env, device.dtypes.size());
  for (uint32_t i = 0; i < device.dtypes.size(); ++i) dtypes[i] = Napi::String::New(env, device.dtypes[i]);
  Napi::Object js = Napi::Object::New(env);
  js["id"] = Napi::String::New(env, device.id);
  js["name"] = Napi::String::New(env, device.name);
  js["available"] = Napi::Boolean::New(env, device.available);
  js["isa"] = Napi::String::New(env, device.isa);
  js["dtypes"] = dtypes;
  js["reason"] = Napi::String::New(env, device.reason);
  js["lost"] = Napi::Boolean::New(env, device.lost);
  return js;
}

}  // namespace

Napi::Value CompileGraph(const Napi::CallbackInfo& info) {
  auto request = std::make_shared<CompileRequest>();
  ReadOptions(ToObject(info[3], "options"), request.get());
  request->graph = GraphFromJs(info[0], info[1], info[2]);
  const int64_t weight_bytes = WeightBytes(request->graph);
  return RunOnWorker(info.Env(), [request, weight_bytes]() -> Finish {
    const auto session = MakeSession(*request);
    return [session, weight_bytes](Napi::Env env) { return SessionToJs(env, session, weight_bytes); };
  });
}

Napi::Value ListDevices(const Napi::CallbackInfo& info) {
  return RunOnWorker(info.Env(), [kind = ToText(info[0], "kind")]() -> Finish {
    const auto devices = FindDevices(kind);
    return [devices](Napi::Env env) {
      Napi::Array js = Napi::Array::New(env, devices.size());
      for (uint32_t i = 0; i < devices.size(); ++i) js[i] = DeviceToJs(env, devices[i]);
      return js;
    };
  });
}

}  // namespace resnet_native
