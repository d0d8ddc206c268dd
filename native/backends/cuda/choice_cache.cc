#include "native/backends/cuda/choice_cache.h"

namespace resnet_native::cuda {
namespace {

std::string DescriptionOf(const DeviceProperties& device) {
  return device.name + " sm" + std::to_string(device.compute_major) + std::to_string(device.compute_minor) +
         ' ' + device.versions;
}

}  // namespace

ChoiceCache::ChoiceCache(const DeviceProperties& device, const std::string& folder)
    : file_(DescriptionOf(device), "cuda", folder) {}

std::optional<std::string> ChoiceCache::Find(const Operation& operation) const {
  return file_.Find(ToString(operation));
}

void ChoiceCache::Remember(const Operation& operation, const std::string& kernel, double milliseconds) {
  file_.Remember(ToString(operation), kernel, milliseconds);
}

}  // namespace resnet_native::cuda
