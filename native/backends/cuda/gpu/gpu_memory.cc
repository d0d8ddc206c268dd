#include "native/backends/cuda/gpu/gpu_memory.h"

namespace resnet_native::cuda {
namespace {

using State = std::shared_ptr<GpuState>;

class DeviceBuffer final : public Buffer {
 public:
  DeviceBuffer(State state, void* data, size_t bytes) : Buffer(data, bytes), state_(std::move(state)) {}
  ~DeviceBuffer() override {
    state_->EnterQuietly();
    cudaFree(data());
  }

 private:
  const State state_;
};

class PinnedBuffer final : public Buffer {
 public:
  PinnedBuffer(State state, void* data, size_t bytes) : Buffer(data, bytes), state_(std::move(state)) {}
  ~PinnedBuffer() override {
    // Of null it may make an error, which the thread's next launch would report as its own.
    if (!data()) return;
    state_->EnterQuietly();
    cudaFreeHost(data());
  }

 private:
  const State state_;
};

}  // namespace

std::unique_ptr<Buffer> NewDeviceBuffer(State state, size_t bytes) {
  state->Enter();
  void* data = nullptr;  // aligned to 256 bytes at least, as CUDA promises; null is freed like anything else
  if (bytes > 0) state->Check(cudaMalloc(&data, bytes), "allocating device memory");
  return std::make_unique<DeviceBuffer>(std::move(state), data, bytes);
}

std::unique_ptr<Buffer> NewPinnedBuffer(State state, size_t bytes) {
  state->Enter();
  void* data = nullptr;
  if (bytes > 0) state->Check(cudaHostAlloc(&data, bytes, cudaHostAllocPortable), "allocating pinned memory");
  return std::make_unique<PinnedBuffer>(std::move(state), data, bytes);
}

}  // namespace resnet_native::cuda
