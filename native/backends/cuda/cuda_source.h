#pragma once

#include <functional>
#include <mutex>
#include <optional>

#include "native/backends/cuda/backend.h"
#include "native/backends/cuda/libraries.h"

namespace resnet_native::cuda {

// The GPUs of this machine. The libraries are opened by the first question; if that fails it is tried again,
// so that what is mended while the process runs is seen.
class CudaSource final : public DeviceSource {
 public:
  using OpenDevice = std::function<std::shared_ptr<Device>(int index, const Libraries& libraries)>;
  using TryCandidate =
      std::function<bool(int index, const Operation& operation, const std::string& candidate)>;

  // `runtime_version`: of the CUDA runtime linked, as CUDA writes it. `open` makes the device, once its
  // libraries are there and the GPU is known to fit.
  CudaSource(int runtime_version, LibrarySearch search, OpenDevice open, TryCandidate try_candidate)
      : runtime_version_(runtime_version),
        search_(std::move(search)),
        open_(std::move(open)),
        try_(std::move(try_candidate)) {}

  std::vector<DeviceInfo> List() override;
  std::shared_ptr<Device> Open(int index) override;
  bool Try(int index, const Operation& operation, const std::string& candidate) override {
    return try_(index, operation, candidate);
  }

 private:
  const Libraries& Loaded();

  const int runtime_version_;
  const LibrarySearch search_;
  const OpenDevice open_;
  const TryCandidate try_;
  std::mutex mutex_;
  std::optional<Libraries> libraries_;
};

}  // namespace resnet_native::cuda
