#include <cuda_runtime_api.h>

#include <mutex>

#include "native/backends/cuda/gpu/cublaslt.h"
#include "native/backends/cuda/gpu/cudnn_graph.h"
#include "native/backends/cuda/gpu/gpu_kernel.h"
#include "native/backends/cuda/gpu/gpu_memory.h"
#include "native/backends/cuda/gpu/gpu_stream.h"
#include "native/backends/cuda/gpu/kernels/probe.h"
#include "native/backends/cuda/gpu/nvjpeg_decoder.h"
#include "native/backends/cuda/gpu/open_gpu.h"

namespace resnet_native::cuda {
namespace {

using State = std::shared_ptr<GpuState>;

// The handles that candidates are found and built with.
class BuildHandles {
 public:
  explicit BuildHandles(const State& state) : state_(state), cudnn_(NewCudnnHandle()) {
    if (Lt().Create(&cublaslt_) == CUBLAS_STATUS_SUCCESS) return;
    FreeCudnnHandle(cudnn_);
    throw Error(ErrorCode::kOutOfMemory, "cuBLASLt has no memory for its handle");
  }
  ~BuildHandles() {
    state_->EnterQuietly();
    Lt().Destroy(cublaslt_);
    FreeCudnnHandle(cudnn_);
  }
  BuildHandles(const BuildHandles&) = delete;
  BuildHandles& operator=(const BuildHandles&) = delete;

  cudnnHandle_t cudnn() const { return cudnn_; }
  cublasLtHandle_t cublaslt() const { return cublaslt_; }

 private:
  const State state_;
  cudnnHandle_t cudnn_ = nullptr;
  cublasLtHandle_t cublaslt_ = nullptr;
};

class GpuDevice final : public Device {
 public:
  GpuDevice(State state, DeviceProperties properties)
      : state_(std::move(state)), properties_(std::move(properties)), handles_(state_) {}

  const DeviceProperties& properties() const override { return properties_; }

  MemoryInfo memory() override {
    state_->Enter();
    MemoryInfo info;
    state_->Check(cudaMemGetInfo(&info.free, &info.total), "asking for free memory");
    return info;
  }

  std::unique_ptr<Buffer> Allocate(size_t bytes) override { return NewDeviceBuffer(state_, bytes); }
  std::unique_ptr<Buffer> AllocatePinned(size_t bytes) override { return NewPinnedBuffer(state_, bytes); }
  std::unique_ptr<Stream> NewStream() override { return NewGpuStream(state_, handles_.cublaslt()); }
  std::unique_ptr<Event> NewEvent() override { return NewGpuEvent(state_); }
  std::unique_ptr<ImageDecoder> NewImageDecoder() override { return NewNvjpegDecoder(state_); }

  // In the order in which they are expected to be fast: one kernel for everything, then two, then ours.
  std::vector<Candidate> Candidates(const Operation& operation) override {
    std::vector<Candidate> candidates;
    if (IsOfLibraries(operation)) {
      const std::lock_guard lock(mutex_);
      state_->Enter();
      candidates = CudnnCandidates(Target(), operation);
      const std::vector<Candidate> products = CublasLtCandidates(Target(), operation);
      // Behind the first plan of cuDNN's: whoever takes the first candidates only has the best of both.
      candidates.insert(candidates.begin() + (candidates.empty() ? 0 : 1), products.begin(), products.end());
    }
    // Ours are the only ones for all but convolutions and linear layers; for those, they are for shapes that
    // the libraries have little for, and timing them would take longer than all else.
    if (candidates.size() < 2) {
      const std::vector<Candidate> own = OwnCandidates(operation);
      candidates.insert(candidates.end(), own.begin(), own.end());
    }
    if (candidates.empty()) {
      throw Error(ErrorCode::kUnsupported,
                  "no kernel does " + ToString(operation) + " on " + properties_.name);
    }
    return candidates;
  }

  std::unique_ptr<const Kernel> Build(const Operation& operation, const std::string& candidate) override {
    if (auto kernel = BuildOwn(operation, candidate)) return kernel;
    const std::lock_guard lock(mutex_);
    state_->Enter();
    if (auto kernel = BuildCublasLt(Target(), operation, candidate)) return kernel;
    if (auto kernel = BuildCudnn(Target(), operation, candidate)) return kernel;
    throw Error(ErrorCode::kUnsupported, candidate + " is no candidate of " + ToString(operation));
  }

 private:
  // All else is ours alone, and does not wait for plans that another thread builds.
  static bool IsOfLibraries(const Operation& operation) {
    return std::holds_alternative<Convolution>(operation) || std::holds_alternative<Linear>(operation);
  }
  BuildTarget Target() const { return {*state_, handles_.cudnn(), handles_.cublaslt()}; }

  const State state_;
  const DeviceProperties properties_;
  std::mutex mutex_;  // of the handles
  BuildHandles handles_;
};

[[noreturn]] void Unavailable(int index, const std::string& why) {
  throw Error(ErrorCode::kDeviceUnavailable, "cuda:" + std::to_string(index) + " is not available: " + why);
}

std::string Versions(const Libraries& libraries) {
  return "driver " + std::to_string(libraries.driver_version) + " cudnn " +
         std::to_string(libraries.cudnn_version) + " cublaslt " + std::to_string(libraries.cublaslt_version);
}

}  // namespace

int RuntimeVersion() { return CUDART_VERSION; }

std::shared_ptr<Device> OpenGpu(int index, const Libraries& libraries) {
  int count = 0;
  const cudaError_t counted = cudaGetDeviceCount(&count);
  if (counted != cudaSuccess) Unavailable(index, cudaGetErrorString(counted));
  if (index < 0 || index >= count) {
    Unavailable(index,
                "this machine has " + std::to_string(count) + " CUDA device" + (count == 1 ? "" : "s"));
  }

  const auto state = std::make_shared<GpuState>(index);
  // That passes, unlike a loss, which the same error would be later.
  if (cudaSetDevice(index) == cudaErrorDevicesUnavailable) {
    cudaGetLastError();
    Unavailable(index, "another process has it to itself, or its compute mode forbids work");
  }
  state->Enter();
  cudaDeviceProp prop;
  state->Check(cudaGetDeviceProperties(&prop, index), "asking for its properties");
  const cudaError_t probed = ProbeKernels();
  if (probed == cudaErrorNoKernelImageForDevice || probed == cudaErrorInvalidDeviceFunction) {
    cudaGetLastError();
    Unavailable(index, std::string(prop.name) + " has compute capability " + std::to_string(prop.major) +
                           "." + std::to_string(prop.minor) +
                           ", for which this build has no code (8.0 and newer)");
  }
  state->Check(probed, "loading the kernels");

  BindCudnn(libraries.cudnn);
  BindCublasLt(libraries.cublaslt);
  return std::make_shared<GpuDevice>(state, DeviceProperties{index, prop.name, prop.major, prop.minor,
                                                             prop.totalGlobalMem, Versions(libraries)});
}

}  // namespace resnet_native::cuda
