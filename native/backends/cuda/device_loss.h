#pragma once

#include <exception>
#include <mutex>
#include <string>

#include "native/error.h"

namespace resnet_native::cuda {

// Whether a GPU of this process reported an error that CUDA does not recover from. Once lost, always lost:
// every session and every later compile hears it at once. Thread-safe.
class DeviceLoss {
 public:
  // Throws kDeviceLost if a device was lost.
  void Check() const {
    std::lock_guard lock(mutex_);
    if (!reason_.empty()) throw Error(ErrorCode::kDeviceLost, reason_);
  }

  // Empty, or why.
  std::string reason() const {
    std::lock_guard lock(mutex_);
    return reason_;
  }

  // To be called while an exception is handled: notes it if it says that the device is lost.
  void Note(const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (const Error& ours) {
      if (ours.code() != ErrorCode::kDeviceLost) return;
      std::lock_guard lock(mutex_);
      if (reason_.empty()) reason_ = ours.what();
    } catch (...) {
    }
  }

 private:
  mutable std::mutex mutex_;
  std::string reason_;
};

}  // namespace resnet_native::cuda
