#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace resnet_native {

// A weights file whose header JavaScript has checked, and whose tensors are read when they are needed.
// Thread-safe.
class WeightsFile {
 public:
  // What the file was when its header was checked: another state means that it was written to since.
  struct State {
    int64_t bytes = 0;
    int64_t modified_ns = 0;
  };

  // Duplicates the descriptor: the caller may close his own. `path` is for messages. Throws kFile.
  WeightsFile(int descriptor, std::string path, const State& state);
  ~WeightsFile();
  WeightsFile(const WeightsFile&) = delete;
  WeightsFile& operator=(const WeightsFile&) = delete;

  // Throws kFile if the system cannot read, or the file is not what it was.
  void Read(uint64_t position, void* to, size_t bytes) const;

 private:
  void CheckUnchanged() const;

  const int descriptor_;
  const std::string path_;
  const State state_;
};

}  // namespace resnet_native
