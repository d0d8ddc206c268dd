#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "native/backends/cuda/device.h"

namespace resnet_native::cuda {

// Which kernel was fastest for an operation on this GPU with these versions of the libraries: remembered in a
// file, so that only the first compile on a machine measures. One line a choice, appended in one write; what
// several processes add is all kept, and the last one counts. A file that cannot be read or written costs the
// measuring again, and nothing else. Thread-safe.
class ChoiceCache {
 public:
  // `folder` is made when there is something to write; empty: remembers only in memory.
  ChoiceCache(const DeviceProperties& device, const std::string& folder);

  std::optional<std::string> Find(const Operation& operation) const;
  void Remember(const Operation& operation, const std::string& kernel, double milliseconds);

  const std::string& path() const { return path_; }

 private:
  void Load();

  const std::string header_;
  std::string path_;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> choices_;  // by ToString of the operation
};

}  // namespace resnet_native::cuda
