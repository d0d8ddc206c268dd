#pragma once

#include <cstdint>
#include <memory>

#include "native/tensor.h"
#include "native/weights_file.h"

namespace resnet_native {

// A parameter where it was found: float32 or int8 values in memory, or these and halves still in the file
// that they were loaded from. Whoever packs weights reads them a part at a time, so that no network is ever
// held twice. Thread-safe; copies share what they refer to.
class WeightSource {
 public:
  WeightSource() = default;  // empty
  WeightSource(Weight weight) : owner_(std::move(weight.owner)), data_(weight.data), size_(weight.size) {}

  // `size` values of float32 or int8 that `owner` keeps alive.
  static WeightSource InMemory(std::shared_ptr<const void> owner, const void* data, DType dtype, size_t size);
  // The same, or float16 or bfloat16, in a file from a byte on.
  static WeightSource InFile(std::shared_ptr<const WeightsFile> file, uint64_t position, DType dtype,
                             size_t size);

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // What keeps values in memory alive.
  const std::shared_ptr<const void>& owner() const { return owner_; }

  // The values [first, first + count) in float32: themselves where they lie in memory so, else in memory of
  // their own. Throws what WeightsFile::Read does, and std::bad_alloc.
  Weight Read(size_t first, size_t count) const;
  Weight Read() const { return Read(0, size_); }

 private:
  WeightSource(DType dtype, size_t size) : dtype_(dtype), size_(size) {}

  std::shared_ptr<const void> owner_;
  const void* data_ = nullptr;
  std::shared_ptr<const WeightsFile> file_;
  uint64_t position_ = 0;
  DType dtype_ = DType::kFloat32;
  size_t size_ = 0;
};

}  // namespace resnet_native
