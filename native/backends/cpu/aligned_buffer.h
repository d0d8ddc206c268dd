#pragma once

#include <cstddef>
#include <new>
#include <utility>

namespace resnet_native::cpu {

// Bytes that nothing initialises, on a cache line's boundary; large ones on huge pages where the system
// grants them, but no more of it than they need, and back to it when they are freed. Throws std::bad_alloc.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t bytes);
  ~AlignedBuffer();
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  char* data() { return data_; }
  const char* data() const { return data_; }
  size_t size() const { return size_; }  // bytes
  template <class T>
  T* As() {
    return reinterpret_cast<T*>(data_);
  }
  template <class T>
  const T* As() const {
    return reinterpret_cast<const T*>(data_);
  }

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace resnet_native::cpu
