#include "native/backends/cpu/aligned_buffer.h"

#include <cstdint>
#include <cstdlib>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace resnet_native::cpu {
namespace {

constexpr size_t kLine = 64, kHugePage = size_t{2} << 20;
constexpr size_t kPage = 64 << 10;  // a multiple of the system's, whichever it has
constexpr size_t kMaxBytes = (~size_t{0} >> 1) - 2 * kHugePage;

constexpr size_t RoundedUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

char* Allocate(size_t bytes) {
  void* data = std::aligned_alloc(kLine, RoundedUp(bytes, kLine));
  if (!data) throw std::bad_alloc();
  return static_cast<char*>(data);
}

#ifdef __linux__

// Begins on a huge page's boundary and ends with the last page that is needed, so that what lies behind the
// last whole huge page takes small ones.
char* Map(size_t bytes) {
  const size_t needed = RoundedUp(bytes, kPage), reserved = needed + kHugePage;
  void* reservation = mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (reservation == MAP_FAILED) throw std::bad_alloc();
  char* begin = static_cast<char*>(reservation);
  const size_t before =
      RoundedUp(reinterpret_cast<uintptr_t>(begin), kHugePage) - reinterpret_cast<uintptr_t>(begin);
  if (before > 0) munmap(begin, before);
  if (before < kHugePage) munmap(begin + before + needed, kHugePage - before);
#ifdef MADV_HUGEPAGE
  madvise(begin + before, needed, MADV_HUGEPAGE);  // its failure changes nothing
#endif
  return begin + before;
}

void Unmap(char* data, size_t bytes) { munmap(data, RoundedUp(bytes, kPage)); }
#else
char* Map(size_t bytes) { return Allocate(bytes); }
void Unmap(char* data, size_t) { std::free(data); }
#endif

}  // namespace

AlignedBuffer::AlignedBuffer(size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  if (bytes > kMaxBytes) throw std::bad_alloc();
  data_ = bytes < kHugePage ? Allocate(bytes) : Map(bytes);
}

AlignedBuffer::~AlignedBuffer() {
  if (size_ < kHugePage) {
    std::free(data_);
  } else {
    Unmap(data_, size_);
  }
}

}  // namespace resnet_native::cpu
