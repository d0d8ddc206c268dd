#include "native/addon/worker_task.h"

#include <memory>

namespace resnet_native {
namespace {

// Not Napi::AsyncWorker: that one throws, and so aborts, when the environment ends while the work is under
// way.
struct Task {
  Napi::Promise::Deferred deferred;
  std::function<Finish()> work;
  Finish finish;
  std::exception_ptr error;
  napi_async_work handle = nullptr;
};

void Execute(napi_env, void* data) {
  auto* task = static_cast<Task*>(data);
  try {
    task->finish = task->work();
  } catch (...) {
    task->error = std::current_exception();
  }
}

void Complete(napi_env env, napi_status, void* data) {
  const std::unique_ptr<Task> task(static_cast<Task*>(data));
  Napi::HandleScope scope(env);
  Settle(env, task->deferred, task->error, task->finish);
  napi_delete_async_work(env, task->handle);
}

}  // namespace

void RunOnWorker(Napi::Env env, const Napi::Promise::Deferred& deferred, std::function<Finish()> work) {
  std::unique_ptr<Task> task(new Task{deferred, std::move(work)});
  const Napi::String name = Napi::String::New(env, "resnet-native task");
  napi_status status =
      napi_create_async_work(env, nullptr, name, Execute, Complete, task.get(), &task->handle);
  NAPI_THROW_IF_FAILED_VOID(env, status);
  status = napi_queue_async_work(env, task->handle);
  NAPI_THROW_IF_FAILED_VOID(env, status);
  task.release();
}

}  // namespace resnet_native
