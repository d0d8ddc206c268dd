#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include <memory>
#include <string>
#include <vector>

#include "native/backends/cuda/device.h"
#include "native/backends/cuda/gpu/gpu_state.h"

namespace resnet_native::cuda {

// What a launch happens on. cuDNN's handle belongs to the stream; cuBLASLt's is the device's, and
// thread-safe.
struct LaunchTarget {
  GpuState& state;
  cudaStream_t stream;
  cudnnHandle_t cudnn;
  cublasLtHandle_t cublaslt;
};

// A Kernel of this implementation of device.h.
class GpuKernel : public Kernel {
 public:
  explicit GpuKernel(std::string name) : name_(std::move(name)) {}
  const std::string& name() const override { return name_; }

  // Queues it. The device is current.
  virtual void Launch(const LaunchTarget& target, const Operands& operands) const = 0;

 private:
  const std::string name_;
};

// What candidates are found and built with. cuDNN's handle is used by one thread at a time.
struct BuildTarget {
  GpuState& state;
  cudnnHandle_t cudnn;
  cublasLtHandle_t cublaslt;
};

// Where kernels come from: for each source the candidates of an operation, which may be none, and the kernel
// of a candidate's name, or null if the name is not of this source. Throw kUnsupported where a candidate
// cannot be built.
std::vector<Candidate> OwnCandidates(const Operation& operation);
std::unique_ptr<const GpuKernel> BuildOwn(const Operation& operation, const std::string& name);

std::vector<Candidate> CudnnCandidates(const BuildTarget& target, const Operation& operation);
std::unique_ptr<const GpuKernel> BuildCudnn(const BuildTarget& target, const Operation& operation,
                                            const std::string& name);

std::vector<Candidate> CublasLtCandidates(const BuildTarget& target, const Operation& operation);
std::unique_ptr<const GpuKernel> BuildCublasLt(const BuildTarget& target, const Operation& operation,
                                               const std::string& name);

}  // namespace resnet_native::cuda
