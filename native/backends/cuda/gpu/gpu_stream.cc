#include "native/backends/cuda/gpu/gpu_stream.h"

#include "native/backends/cuda/gpu/cudnn_graph.h"
#include "native/backends/cuda/gpu/gpu_kernel.h"

namespace resnet_native::cuda {
namespace {

using State = std::shared_ptr<GpuState>;

class GpuEvent final : public Event {
 public:
  explicit GpuEvent(State state) : state_(std::move(state)) {
    state_->Enter();
    // Whoever waits for it sleeps.
    state_->Check(cudaEventCreateWithFlags(&event_, cudaEventBlockingSync), "making an event");
  }
  ~GpuEvent() override {
    state_->EnterQuietly();
    cudaEventDestroy(event_);
  }

  void Synchronize() override {
    state_->Enter();
    state_->Check(cudaEventSynchronize(event_), "waiting for the GPU");
  }

  double MillisecondsSince(const Event& start) const override {
    state_->Enter();
    float milliseconds = 0;
    state_->Check(cudaEventElapsedTime(&milliseconds, static_cast<const GpuEvent&>(start).event_, event_),
                  "measuring");
    return milliseconds;
  }

  cudaEvent_t get() const { return event_; }

 private:
  const State state_;
  cudaEvent_t event_ = nullptr;
};

class GpuCapture final : public Capture {
 public:
  GpuCapture(State state, cudaGraphExec_t graph) : state_(std::move(state)), graph_(graph) {}
  ~GpuCapture() override {
    state_->EnterQuietly();
    cudaGraphExecDestroy(graph_);
  }
  cudaGraphExec_t get() const { return graph_; }

 private:
  const State state_;
  const cudaGraphExec_t graph_;
};

class GpuStream final : public Stream {
 public:
  GpuStream(State state, cublasLtHandle_t cublaslt) : state_(std::move(state)), cublaslt_(cublaslt) {
    state_->Enter();
    state_->Check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream");
    try {
      cudnn_ = NewCudnnHandle();
      const std::string error = SetCudnnStream(cudnn_, stream_);
      if (!error.empty()) state_->Fail("cuDNN: " + error + " while taking a stream");
    } catch (...) {
      Release();
      throw;
    }
  }
  ~GpuStream() override {
    state_->EnterQuietly();
    cudaStreamSynchronize(stream_);
    Release();
  }

  void CopyToDevice(void* device, const void* pinned, size_t bytes) override {
    Copy(device, pinned, bytes, cudaMemcpyHostToDevice);
  }
  void CopyToHost(void* pinned, const void* device, size_t bytes) override {
    Copy(pinned, device, bytes, cudaMemcpyDeviceToHost);
  }

  void Launch(const Kernel& kernel, const Operands& operands) override {
    state_->Enter();
    static_cast<const GpuKernel&>(kernel).Launch({*state_, stream_, cudnn_, cublaslt_}, operands);
  }

  // Relaxed: libraries may load a kernel at its first launch, which the other modes forbid; and what other
  // threads do meanwhile is no matter of this capture.
  void BeginCapture() override {
    state_->Enter();
    state_->Check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed), "beginning a capture");
  }

  std::unique_ptr<Capture> EndCapture() override {
    state_->Enter();
    cudaGraph_t graph = nullptr;
    state_->Check(cudaStreamEndCapture(stream_, &graph), "ending a capture");
    cudaGraphExec_t executable = nullptr;
    const cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
    cudaGraphDestroy(graph);
    state_->Check(status, "making a graph of a capture");
    return std::make_unique<GpuCapture>(state_, executable);
  }

  void Launch(const Capture& capture) override {
    state_->Enter();
    state_->Check(cudaGraphLaunch(static_cast<const GpuCapture&>(capture).get(), stream_),
                  "launching a graph");
  }

  cudaStream_t get() const { return stream_; }

  void Record(Event& event) override {
    state_->Enter();
    state_->Check(cudaEventRecord(static_cast<GpuEvent&>(event).get(), stream_), "recording an event");
  }

  void Wait(const Event& event) override {
    state_->Enter();
    state_->Check(cudaStreamWaitEvent(stream_, static_cast<const GpuEvent&>(event).get(), 0),
                  "waiting for another stream");
  }

 private:
  void Copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
    state_->Enter();
    if (bytes > 0) state_->Check(cudaMemcpyAsync(to, from, bytes, kind, stream_), "copying");
  }

  void Release() noexcept {
    if (cudnn_) FreeCudnnHandle(cudnn_);
    cudaStreamDestroy(stream_);
  }

  const State state_;
  const cublasLtHandle_t cublaslt_;
  cudaStream_t stream_ = nullptr;
  cudnnHandle_t cudnn_ = nullptr;
};

}  // namespace

std::unique_ptr<Stream> NewGpuStream(State state, cublasLtHandle_t cublaslt) {
  return std::make_unique<GpuStream>(std::move(state), cublaslt);
}
cudaStream_t CudaStreamOf(const Stream& stream) { return static_cast<const GpuStream&>(stream).get(); }
std::unique_ptr<Event> NewGpuEvent(State state) { return std::make_unique<GpuEvent>(std::move(state)); }

}  // namespace resnet_native::cuda
