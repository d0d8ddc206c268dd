#pragma once

#include <optional>
#include <string>

#include "native/backends/cuda/device.h"
#include "native/choice_file.h"

namespace resnet_native::cuda {

// Which kernel was fastest for an operation on this GPU with these versions of the libraries. Thread-safe.
class ChoiceCache {
 public:
  // `folder` is made when there is something to write; empty: remembers only in memory.
  ChoiceCache(const DeviceProperties& device, const std::string& folder);

  std::optional<std::string> Find(const Operation& operation) const;
  void Remember(const Operation& operation, const std::string& kernel, double milliseconds);

  const std::string& path() const { return file_.path(); }

 private:
  ChoiceFile file_;
};

}  // namespace resnet_native::cuda
