#include "native/backends/cuda/backend.h"

#include <algorithm>

#include "native/backends/cuda/plan.h"

namespace resnet_native::cuda {
namespace {

const char* NameOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "float32";
    case DType::kTf32:
      return "tf32";
    case DType::kFloat16:
      return "float16";
    case DType::kBfloat16:
      return "bfloat16";
    case DType::kInt8:
      return "int8";
    case DType::kUint8:
      return "uint8";
  }
  return "?";
}

void CheckDType(const DeviceInfo& device, DType dtype) {
  const std::vector<std::string>& dtypes = device.dtypes;
  if (std::find(dtypes.begin(), dtypes.end(), NameOf(dtype)) != dtypes.end()) return;
  std::string list;
  for (const std::string& name : dtypes) list += (list.empty() ? "" : ", ") + name;
  throw Error(ErrorCode::kUnsupported,
              device.id + " does not compute in " + NameOf(dtype) + "; expected one of " + list);
}

}  // namespace

// A lost device stays in the list, with the reason: whoever asks for `auto` then gets the CPU.
std::vector<DeviceInfo> CudaBackend::Devices() {
  std::vector<DeviceInfo> devices = source_->List();
  const std::string lost = loss_->reason();
  if (lost.empty()) return devices;
  for (DeviceInfo& device : devices) {
    device.available = false;
    device.reason = lost;
    device.lost = true;
  }
  return devices;
}

DeviceInfo CudaBackend::AvailableDevice(int index) {
  loss_->Check();
  const std::vector<DeviceInfo> devices = source_->List();
  const std::string id = "cuda:" + std::to_string(index);
  const auto info =
      std::find_if(devices.begin(), devices.end(), [&](const DeviceInfo& device) { return device.id == id; });
  if (info == devices.end()) {
    const std::string reason = devices.empty() ? "there is no CUDA device" : devices[0].reason;
    throw Error(ErrorCode::kDeviceUnavailable,
                "the device \"" + id + "\" is not available" + (reason.empty() ? "" : ": " + reason));
  }
  if (!info->available) {
    throw Error(ErrorCode::kDeviceUnavailable, "the device \"" + id + "\" is not available: " + info->reason);
  }
  return *info;
}

std::shared_ptr<const Plan> CudaBackend::Compile(Graph graph, const CompileOptions& options) {
  const int index = options.device_index;
  CheckDType(AvailableDevice(index), options.dtype);
  try {
    const Trial trial = [this, index](const Operation& operation, const std::string& candidate) {
      return source_->Try(index, operation, candidate);
    };
    return std::make_shared<CudaPlan>(std::move(graph), PlanSetup{DeviceAt(index), loss_, trial, options});
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory, "not enough memory on the host to compile the network");
  } catch (...) {
    loss_->Note(std::current_exception());
    throw;
  }
}

void CudaBackend::DecodeJpegs(int device_index, std::span<JpegCrop> crops) {
  AvailableDevice(device_index);
  try {
    JpegCropsAt(device_index).Run(crops);
  } catch (...) {
    loss_->Note(std::current_exception());
    throw;
  }
}

JpegCrops& CudaBackend::JpegCropsAt(int index) {
  const std::shared_ptr<Device> device = DeviceAt(index);
  std::lock_guard lock(mutex_);
  std::unique_ptr<JpegCrops>& crops = jpeg_crops_[index];
  if (!crops) crops = std::make_unique<JpegCrops>(device);
  return *crops;
}

std::shared_ptr<Device> CudaBackend::DeviceAt(int index) {
  std::lock_guard lock(mutex_);
  std::shared_ptr<Device>& device = devices_[index];
  if (!device) device = source_->Open(index);
  return device;
}

}  // namespace resnet_native::cuda
