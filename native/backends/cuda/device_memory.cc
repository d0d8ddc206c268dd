#include "native/backends/cuda/device_memory.h"

#include <algorithm>

namespace resnet_native::cuda {

std::string ShowBytes(size_t bytes) {
  constexpr size_t kMiB = size_t{1} << 20;
  if (bytes < kMiB) return std::to_string(bytes) + " bytes";
  const size_t mib = bytes / kMiB + (bytes % kMiB != 0);
  if (mib < 10 * 1024) return std::to_string(mib) + " MiB";
  const size_t tenths = (mib * 10 + 1023) / 1024;
  return std::to_string(tenths / 10) + '.' + std::to_string(tenths % 10) + " GiB";
}

std::unique_ptr<DeviceMemory::Block> DeviceMemory::Allocate(size_t bytes, const std::string& what) {
  const auto fail = [&](size_t free, const std::string& where) {
    return Error(ErrorCode::kOutOfMemory, what + " needs " + ShowBytes(bytes) + " of device memory, but " +
                                              ShowBytes(free) + " are free" + where +
                                              "; use a smaller batch, smaller images or fewer contexts");
  };
  // Taken from the budget first, so that two who ask at once cannot both get the rest.
  const size_t before = used_.fetch_add(bytes);
  try {
    if (budget_ != 0 && (before > budget_ || bytes > budget_ - before)) {
      throw fail(budget_ - std::min(before, budget_), " of the memory budget of " + ShowBytes(budget_));
    }
    std::unique_ptr<Buffer> buffer;
    try {
      buffer = device_->Allocate(bytes);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kOutOfMemory) throw;
      throw fail(device_->memory().free, " on " + device_->properties().name);
    }
    return std::make_unique<Block>(std::move(buffer), shared_from_this());
  } catch (...) {
    used_ -= bytes;
    throw;
  }
}

size_t DeviceMemory::Free() const {
  const size_t free = device_->memory().free;
  if (budget_ == 0) return free;
  const size_t used = used_;
  return std::min(free, budget_ - std::min(used, budget_));
}

}  // namespace resnet_native::cuda
