#pragma once

#include <napi.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "native/backend.h"

namespace resnet_native {

// Brings the completions of runs from any thread to the JavaScript thread of one environment. While runs are
// expected the environment's event loop stays alive; without any, an open session does not hold it.
//
// When the environment ends (a worker is terminated, say), runs under way are cancelled and waited for, and
// their completions are dropped: an environment that is gone must not be called.
class Completions : public std::enable_shared_from_this<Completions> {
 public:
  // Called on the JavaScript thread. `deliver` and `cancel` hold whatever the run needs; both are destroyed
  // there.
  struct Expected {
    std::function<void(Napi::Env env, std::exception_ptr error)> deliver;
    std::function<void()> cancel;
  };

  static std::shared_ptr<Completions> Create(Napi::Env env);

  // On the JavaScript thread. What it returns is called once, on any thread, and leads to one call of
  // `deliver`.
  Completion Expect(Expected expected);

 private:
  explicit Completions(Napi::Env env) : env_(env) {}
  void Post(uint64_t id, std::exception_ptr error);
  void Deliver();
  void Close();

  const Napi::Env env_;
  std::unordered_map<uint64_t, Expected> expected_;  // of the JavaScript thread
  uint64_t last_id_ = 0;

  std::mutex mutex_;  // guards what follows
  napi_threadsafe_function wake_ = nullptr;
  std::vector<std::pair<uint64_t, std::exception_ptr>> arrived_;
  size_t outstanding_ = 0;  // expected and not yet posted
  std::condition_variable all_posted_;
  bool closed_ = false;
};

}  // namespace resnet_native
