#include "native/backends/cuda/gpu/gpu_state.h"

#include "native/error.h"

namespace resnet_native::cuda {
namespace {

std::string Describe(cudaError_t status) {
  return std::string(cudaGetErrorString(status)) + " (" + cudaGetErrorName(status) + ")";
}

// Errors after which every later call of the process fails with the same one.
bool IsSticky(cudaError_t status) {
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorMpsClientTerminated:
    case cudaErrorMpsServerNotReady:
    case cudaErrorMpsRpcFailure:
    case cudaErrorContextIsDestroyed:
    case cudaErrorDevicesUnavailable:
    case cudaErrorUnknown:
      return true;
    default:
      return false;
  }
}

}  // namespace

void GpuState::Enter() {
  if (lost_) {
    const std::lock_guard lock(mutex_);
    throw Error(ErrorCode::kDeviceLost, reason_);
  }
  Check(cudaSetDevice(index_), "making the device current");
}

void GpuState::Check(cudaError_t status, const char* doing) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // what is not sticky is forgotten, so that the next call does not report it again
  if (IsSticky(status)) Lose(status, doing);
  if (status == cudaErrorMemoryAllocation) {
    throw Error(ErrorCode::kOutOfMemory, "cuda:" + std::to_string(index_) + " is out of memory while " +
                                             doing + "; use smaller batches or fewer contexts");
  }
  throw Error(ErrorCode::kInternal,
              "cuda:" + std::to_string(index_) + ": " + Describe(status) + " while " + doing);
}

// What the GPU itself met shows at the next call of any kind.
void GpuState::CheckAlive(const char* doing) { Check(cudaFree(nullptr), doing); }

void GpuState::Fail(const std::string& message) {
  CheckAlive(message.c_str());
  throw Error(ErrorCode::kInternal, "cuda:" + std::to_string(index_) + ": " + message);
}

void GpuState::Lose(cudaError_t status, const char* doing) {
  const std::lock_guard lock(mutex_);
  if (!lost_) {
    reason_ = "cuda:" + std::to_string(index_) + " was lost: " + Describe(status) + " while " + doing +
              "; CUDA cannot recover from this inside a process, so start it anew";
    lost_ = true;
  }
  throw Error(ErrorCode::kDeviceLost, reason_);
}

}  // namespace resnet_native::cuda
