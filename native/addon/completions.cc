#include "native/addon/completions.h"

namespace resnet_native {

std::shared_ptr<Completions> Completions::Create(Napi::Env env) {
  std::shared_ptr<Completions> completions(new Completions(env));
  const auto call = [](napi_env env, napi_value, void* context, void*) {
    if (env) static_cast<Completions*>(context)->Deliver();  // null: the queue is being emptied at the end
  };
  napi_status status =
      napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "resnet-native runs"), 0,
                                      1, nullptr, nullptr, completions.get(), call, &completions->wake_);
  NAPI_THROW_IF_FAILED(env, status, nullptr);
  napi_unref_threadsafe_function(env, completions->wake_);
  // Hooks run in reverse order: this one before that of the thread-safe function, which is gone after its
  // own.
  const auto close = [](void* self) { static_cast<Completions*>(self)->Close(); };
  status = napi_add_env_cleanup_hook(env, close, completions.get());
  NAPI_THROW_IF_FAILED(env, status, nullptr);
  return completions;
}

Completion Completions::Expect(Expected expected) {
  if (expected_.empty()) napi_ref_threadsafe_function(env_, wake_);
  const uint64_t id = ++last_id_;
  expected_.emplace(id, std::move(expected));
  {
    std::lock_guard lock(mutex_);
    ++outstanding_;
  }
  return [self = shared_from_this(), id](std::exception_ptr error) { self->Post(id, std::move(error)); };
}

void Completions::Post(uint64_t id, std::exception_ptr error) {
  std::lock_guard lock(mutex_);
  if (!closed_) {
    arrived_.emplace_back(id, std::move(error));
    napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
  }
  if (--outstanding_ == 0) all_posted_.notify_all();
}

void Completions::Deliver() {
  std::vector<std::pair<uint64_t, std::exception_ptr>> arrived;
  {
    std::lock_guard lock(mutex_);
    arrived.swap(arrived_);
  }
  for (auto& [id, error] : arrived) {
    const auto node = expected_.extract(id);
    Napi::HandleScope scope(env_);
    node.mapped().deliver(env_, std::move(error));
  }
  if (!arrived.empty() && expected_.empty()) napi_unref_threadsafe_function(env_, wake_);
}

void Completions::Close() {
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }
  for (const auto& [id, expected] : expected_) expected.cancel();
  {
    std::unique_lock lock(mutex_);
    all_posted_.wait(lock, [this] { return outstanding_ == 0; });
  }
  expected_.clear();
}

}  // namespace resnet_native
