#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace resnet_native::cpu {

// Floats that nothing initialises, on a cache line's boundary; large ones on huge pages where the system
// grants them. Throws std::bad_alloc.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t floats) : size_(floats) {
    if (floats == 0) return;
    if (floats > kMaxFloats) throw std::bad_alloc();
    const size_t alignment = floats * sizeof(float) >= kHugePage ? kHugePage : kCacheLine;
    const size_t bytes = (floats * sizeof(float) + alignment - 1) / alignment * alignment;
    data_ = static_cast<float*>(std::aligned_alloc(alignment, bytes));
    if (!data_) throw std::bad_alloc();
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (alignment == kHugePage) madvise(data_, bytes, MADV_HUGEPAGE);  // advice: its failure changes nothing
#endif
  }
  ~AlignedBuffer() { std::free(data_); }
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  float* data() { return data_; }
  const float* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  static constexpr size_t kCacheLine = 64;
  static constexpr size_t kHugePage = size_t{2} << 20;
  static constexpr size_t kMaxFloats = (~size_t{0} >> 1) / sizeof(float) - kHugePage;

  float* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace resnet_native::cpu
