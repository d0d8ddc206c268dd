#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <mutex>
#include <string>

namespace resnet_native::cuda {

// What everything made from one GPU shares: which it is, and whether it was lost. Thread-safe.
class GpuState {
 public:
  explicit GpuState(int index) : index_(index) {}

  int index() const { return index_; }

  // At the start of every call: throws kDeviceLost if the GPU was lost, else makes it the thread's current
  // one.
  void Enter();

  // In destructors, which go on with a lost GPU too.
  void EnterQuietly() noexcept { cudaSetDevice(index_); }

  // Throws what a CUDA call reported, unless it succeeded; `doing` says what was being done. An error after
  // which CUDA wants the process to be started anew marks the GPU as lost.
  void Check(cudaError_t status, const char* doing);

  // Throws kDeviceLost if what the GPU was doing, for a library too, has ended it.
  void CheckAlive(const char* doing);

  // A library (cuDNN, cuBLASLt, nvJPEG) reported an error. Throws kDeviceLost if that was the GPU's, else
  // kInternal.
  [[noreturn]] void Fail(const std::string& message);

 private:
  [[noreturn]] void Lose(cudaError_t status, const char* doing);

  const int index_;
  std::atomic<bool> lost_ = false;
  std::mutex mutex_;
  std::string reason_;
};

}  // namespace resnet_native::cuda
