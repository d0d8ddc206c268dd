#include "native/addon/session_to_js.h"

#include <optional>
#include <unordered_map>

#include "native/addon/environment.h"
#include "native/addon/errors.h"
#include "native/addon/input_from_js.h"
#include "native/addon/js_values.h"
#include "native/addon/memory.h"
#include "native/addon/worker_task.h"

namespace resnet_native {
namespace {

// One environment's hold on a session; everything happens on that environment's thread.
struct Attachment {
  Attachment(Napi::Env env, std::shared_ptr<Session> session, int64_t weight_bytes)
      : env(env), session(std::move(session)), weight_bytes(weight_bytes) {
    Napi::MemoryManagement::AdjustExternalMemory(env, weight_bytes);
  }
  ~Attachment() { Napi::MemoryManagement::AdjustExternalMemory(env, -weight_bytes); }

  const Napi::Env env;
  std::shared_ptr<Session> session;  // null once closed
  int64_t weight_bytes;
  std::unordered_map<int64_t, Session::RunId> runs;  // under way, by the ids that JavaScript gave them
  bool closing = false;
  std::optional<Napi::Promise::Deferred> closed;
};

// What a run needs until it is done, beside what it asks of the session.
struct Batch {
  HeldImages input;
  std::vector<TensorShape> shapes;
  std::vector<std::shared_ptr<MemoryBlock>> outputs;
  std::vector<double> step_ms;
};

RunRequest MakeRequest(const Napi::Object& js, const Session& session, Batch* batch) {
  RunRequest request;
  const Graph& graph = session.plan().graph();
  const int channels = std::get<InputOp>(graph.nodes[0].op).channels;
  request.input = InputFromJs(js, channels, session.options().max_batch, &batch->input);
  const auto shapes = InferShapes(graph, request.input.n, request.input.h, request.input.w);
  for (const NodeId id : graph.outputs) {
    batch->shapes.push_back(shapes[id]);
    CheckBufferSize(js.Env(), shapes[id].elements() * sizeof(float));
    batch->outputs.push_back(MemoryBlock::Allocate(shapes[id].elements() * sizeof(float)));
    request.outputs.push_back(static_cast<float*>(batch->outputs.back()->data()));
  }
  return request;
}

// NativeOutput[]: { data, shape } with torch's shapes.
Napi::Value OutputsToJs(Napi::Env env, const Batch& batch) {
  Napi::Array outputs = Napi::Array::New(env, batch.outputs.size());
  for (uint32_t i = 0; i < batch.outputs.size(); ++i) {
    const TensorShape& shape = batch.shapes[i];
    std::vector<int64_t> sizes = {shape.n, shape.c};
    if (shape.rank == 4) sizes.insert(sizes.end(), {shape.h, shape.w});
    Napi::Array js_shape = Napi::Array::New(env, sizes.size());
    for (uint32_t d = 0; d < sizes.size(); ++d) js_shape[d] = Napi::Number::New(env, sizes[d]);
    Napi::Object output = Napi::Object::New(env);
    output["data"] = Napi::Float32Array::New(env, shape.elements(), ToArrayBuffer(env, batch.outputs[i]), 0);
    output["shape"] = js_shape;
    outputs[i] = output;
  }
  return outputs;
}

Napi::Value StepTimesToJs(Napi::Env env, const Batch& batch) {
  Napi::Array times = Napi::Array::New(env, batch.step_ms.size());
  for (uint32_t i = 0; i < batch.step_ms.size(); ++i) times[i] = Napi::Number::New(env, batch.step_ms[i]);
  return times;
}

Session& OpenSession(const Attachment& attachment) {
  if (!attachment.closing) return *attachment.session;
  throw Error(ErrorCode::kSessionClosed, "the session is closed");
}

void CancelRun(const Attachment& attachment, int64_t id) {
  const auto run = attachment.runs.find(id);
  if (run != attachment.runs.end()) attachment.session->Cancel(run->second);
}

// Drops the session off the JavaScript thread, because its threads are joined and its memory is freed there.
void Release(const std::shared_ptr<Attachment>& attachment, const Napi::Promise::Deferred& closed) {
  Napi::MemoryManagement::AdjustExternalMemory(attachment->env, -attachment->weight_bytes);
  attachment->weight_bytes = 0;
  RunOnWorker(attachment->env, closed, [session = std::move(attachment->session)]() mutable -> Finish {
    session.reset();
    return [](Napi::Env env) { return env.Undefined(); };
  });
}

// (id: number, input: NativeInput) => Promise<NativeOutput[]>, or the milliseconds of each step.
Napi::Value StartRun(const std::shared_ptr<Attachment>& attachment, const Napi::CallbackInfo& info,
                     bool profile) {
  const Napi::Env env = info.Env();
  Session& session = OpenSession(*attachment);
  const int64_t id = ToInteger(info[0], "id", 0, kMaxSafeInteger);
  if (attachment->runs.contains(id)) {
    throw Error(ErrorCode::kInvalidArgument, "a run with the id " + std::to_string(id) + " is under way");
  }
  auto batch = std::make_shared<Batch>();
  RunRequest request = MakeRequest(ToObject(info[1], "input"), session, batch.get());
  if (profile) request.step_ms = &batch->step_ms;

  const auto deferred = Napi::Promise::Deferred::New(env);
  const auto deliver = [=](Napi::Env env, std::exception_ptr error) {
    attachment->runs.erase(id);
    Settle(env, deferred, error,
           [&](Napi::Env env) { return profile ? StepTimesToJs(env, *batch) : OutputsToJs(env, *batch); });
    if (attachment->closed && attachment->runs.empty()) Release(attachment, *attachment->closed);
  };
  const auto cancel = [=] { CancelRun(*attachment, id); };
  attachment->runs[id] = session.Submit(request, Environment::Of(env).completions->Expect({deliver, cancel}));
  return deferred.Promise();
}

// () => Promise<void>: takes no more runs, waits for those under way, and lets the session go.
Napi::Value Close(const std::shared_ptr<Attachment>& attachment, const Napi::CallbackInfo& info) {
  OpenSession(*attachment);
  attachment->closing = true;
  const auto closed = Napi::Promise::Deferred::New(info.Env());
  if (attachment->runs.empty()) {
    Release(attachment, closed);
  } else {
    attachment->closed = closed;
  }
  return closed.Promise();
}

Napi::Value PlanToJs(Napi::Env env, const Plan& plan) {
  const std::vector<StepInfo> steps = plan.Describe();
  Napi::Array js_steps = Napi::Array::New(env, steps.size());
  for (uint32_t i = 0; i < steps.size(); ++i) {
    Napi::Object step = Napi::Object::New(env);
    step["name"] = Napi::String::New(env, steps[i].name);
    step["op"] = Napi::String::New(env, steps[i].op);
    step["kernel"] = Napi::String::New(env, steps[i].kernel);
    step["macs"] = Napi::Number::New(env, static_cast<double>(steps[i].macs));
    if (!steps[i].algorithm.empty()) {
      step["algorithm"] = Napi::String::New(env, steps[i].algorithm);
      step["reason"] = Napi::String::New(env, steps[i].reason);
    }
    js_steps[i] = step;
  }
  return js_steps;
}

}  // namespace

Napi::Value SessionToJs(Napi::Env env, std::shared_ptr<Session> session, int64_t weight_bytes) {
  Napi::Object js = Napi::Object::New(env);
  js["handle"] = Napi::BigInt::New(env, session->handle());
  js["description"] = Napi::String::New(env, session->options().description);
  js["plan"] = PlanToJs(env, session->plan());
  // Functions that hold the attachment, rather than a wrapped object that they would have to find in `this`.
  const auto attachment = std::make_shared<Attachment>(env, std::move(session), weight_bytes);
  js["run"] =
      MakeFunction(env, "run", [attachment](const auto& info) { return StartRun(attachment, info, false); });
  js["profile"] = MakeFunction(env, "profile",
                               [attachment](const auto& info) { return StartRun(attachment, info, true); });
  js["cancel"] = MakeFunction(env, "cancel", [attachment](const Napi::CallbackInfo& info) {
    CancelRun(*attachment, ToInteger(info[0], "id", 0, kMaxSafeInteger));
    return info.Env().Undefined();
  });
  js["close"] =
      MakeFunction(env, "close", [attachment](const auto& info) { return Close(attachment, info); });
  return js;
}

Napi::Value Attach(const Napi::CallbackInfo& info) {
  bool lossless = false;
  const uint64_t handle = info[0].IsBigInt() ? info[0].As<Napi::BigInt>().Uint64Value(&lossless) : 0;
  if (!lossless) throw Error(ErrorCode::kInvalidArgument, "expected a session's handle, which is a bigint");
  return SessionToJs(info.Env(), Session::Attach(handle), 0);
}

}  // namespace resnet_native
