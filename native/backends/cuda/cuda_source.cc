#include "native/backends/cuda/cuda_source.h"

#include "native/backends/cuda/driver.h"

namespace resnet_native::cuda {

std::vector<DeviceInfo> CudaSource::List() {
  try {
    return ListGpus(Loaded().driver);
  } catch (const std::exception& error) {
    return {{"cuda", "", false, "", {}, error.what()}};
  }
}

std::shared_ptr<Device> CudaSource::Open(int index) { return open_(index, Loaded()); }

const Libraries& CudaSource::Loaded() {
  std::lock_guard lock(mutex_);
  if (!libraries_) libraries_ = LoadLibraries(runtime_version_, search_);
  return *libraries_;
}

}  // namespace resnet_native::cuda
