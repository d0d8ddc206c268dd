#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "native/backends/cuda/device.h"

// cuDNN's graphs of a convolution. All that touches cudnn-frontend is behind this header, in one file for the
// host's compiler: through nvcc it takes several times as long.

struct cudnnContext;

namespace resnet_native::cuda {

// What of a convolution cuDNN does.
enum class GraphForm {
  kFused,  // all of it
  kPlain,  // the sum alone, rounded to the dtype, or as float32 where that is int8; the rest is an Epilogue
           // of ours
};

// One plan that cuDNN offers for a graph. Immutable; any number of threads may execute it at once.
class CudnnPlan {
 public:
  virtual ~CudnnPlan() = default;
  virtual size_t workspace_bytes() const = 0;
  // Queues it on the stream of `handle`. kPlain reads x and filters and writes y. Returns cuDNN's words for
  // what went wrong; empty: nothing.
  virtual std::string Execute(cudnnContext* handle, const Operands& operands) const = 0;
};

// A convolution as a graph of one form, made for the GPU of a handle, which is used by one thread at a time.
class CudnnGraph {
 public:
  // Throws kUnsupported, with cuDNN's words, where cuDNN cannot express it or has no plan for it.
  static std::unique_ptr<CudnnGraph> Make(cudnnContext* handle, const Convolution& op, GraphForm form);
  virtual ~CudnnGraph() = default;

  // What can be built, in the order in which cuDNN's heuristics expect it to be fast, and is as exact as the
  // dtype asks.
  virtual std::vector<std::string> PlanNames() = 0;
  // Ends the use of the graph: the plan keeps what it needs. Throws kUnsupported.
  virtual std::unique_ptr<const CudnnPlan> Build(const std::string& name) = 0;
};

// Binds cuDNN, opened at run time, before anything else here. Thread-safe.
void BindCudnn(void* library);

// A handle for the current device. Throws kOutOfMemory or kDeviceUnavailable.
cudnnContext* NewCudnnHandle();
void FreeCudnnHandle(cudnnContext* handle) noexcept;
// What is executed with the handle is queued on this cudaStream_t. Returns as Execute does.
std::string SetCudnnStream(cudnnContext* handle, void* stream);

}  // namespace resnet_native::cuda
