#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "native/backend.h"
#include "native/backends/cuda/device.h"
#include "native/backends/cuda/device_loss.h"
#include "native/backends/cuda/jpeg_crops.h"
#include "native/backends/cuda/kernel_chooser.h"

namespace resnet_native::cuda {

// Where devices come from: CUDA, or a test. Thread-safe.
class DeviceSource {
 public:
  virtual ~DeviceSource() = default;
  // What there is, available or not, by ascending index; if there is nothing, one entry "cuda" that says why.
  // Quick, and throws nothing.
  virtual std::vector<DeviceInfo> List() = 0;
  // Throws kDeviceUnavailable, saying what is missing.
  virtual std::shared_ptr<Device> Open(int index) = 0;
  // Tries a candidate that may crash.
  virtual bool Try(int index, const Operation& operation, const std::string& candidate) = 0;
};

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(std::unique_ptr<DeviceSource> source) : source_(std::move(source)) {}

  std::vector<DeviceInfo> Devices() override;
  std::shared_ptr<const Plan> Compile(Graph graph, const CompileOptions& options) override;
  void DecodeJpegs(int device_index, std::span<JpegCrop> crops) override;

 private:
  // What `List` says of it. Throws kDeviceUnavailable if it cannot be used.
  DeviceInfo AvailableDevice(int index);
  std::shared_ptr<Device> DeviceAt(int index);
  JpegCrops& JpegCropsAt(int index);

  const std::unique_ptr<DeviceSource> source_;
  const std::shared_ptr<DeviceLoss> loss_ = std::make_shared<DeviceLoss>();
  std::mutex mutex_;
  std::map<int, std::shared_ptr<Device>> devices_;  // those that were opened
  std::map<int, std::unique_ptr<JpegCrops>> jpeg_crops_;
};

}  // namespace resnet_native::cuda
