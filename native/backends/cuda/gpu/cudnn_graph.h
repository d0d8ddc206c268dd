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

// int8 is multiplied as it is stored, and padding is made of stored zeros, so that x has the zero point 128
// or no padding.

// A plan that cuDNN offers, before it is built.
struct CudnnOffer {
  std::string name;         // all that makes the plan; the same while cuDNN's version is
  bool ready_made = false;  // of kernels that come with cuDNN, not compiled at run time
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

// The plans that cuDNN offers for a convolution in this form, in the order in which its heuristics expect
// them to be fast: those that are as exact as the dtype asks, and of them the first few, because building and
// timing each takes a while. `handle` is of the GPU that it is for, and is used by one thread at a time.
// Throws kUnsupported, with cuDNN's words, where it cannot express the convolution or has no plan.
std::vector<CudnnOffer> CudnnOffers(cudnnContext* handle, const Convolution& op, GraphForm form);

// Builds the plan of that name. Throws kUnsupported where that cannot be done after all.
std::unique_ptr<const CudnnPlan> BuildCudnnPlan(cudnnContext* handle, const Convolution& op, GraphForm form,
                                                const std::string& name);

// Binds cuDNN, opened at run time, before anything else here. Thread-safe.
void BindCudnn(void* library);

// A handle for the current device. Throws kOutOfMemory or kDeviceUnavailable.
cudnnContext* NewCudnnHandle();
void FreeCudnnHandle(cudnnContext* handle) noexcept;
// What is executed with the handle is queued on this cudaStream_t. Returns as Execute does.
std::string SetCudnnStream(cudnnContext* handle, void* stream);

}  // namespace resnet_native::cuda
