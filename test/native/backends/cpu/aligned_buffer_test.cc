#include "native/backends/cpu/aligned_buffer.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#ifdef __linux__
#include <unistd.h>

#include <fstream>
#endif

namespace resnet_native::cpu {
namespace {

constexpr size_t kMegabyte = 1 << 20;

TEST(AlignedBuffer, BeginsOnACacheLineAndHoldsWhatIsWritten) {
  for (size_t bytes : {size_t{1}, size_t{100}, kMegabyte, 2 * kMegabyte, 5 * kMegabyte + 1}) {
    AlignedBuffer buffer(bytes);
    EXPECT_EQ(buffer.size(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u);
    std::memset(buffer.data(), 7, bytes);
    const AlignedBuffer moved = std::move(buffer);
    EXPECT_EQ(moved.data()[bytes - 1], 7);
    EXPECT_EQ(buffer.data(), nullptr);
  }
}

TEST(AlignedBuffer, SaysSoWhenThereIsNotSoMuch) {
  EXPECT_THROW(AlignedBuffer(std::numeric_limits<size_t>::max()), std::bad_alloc);
  EXPECT_THROW(AlignedBuffer(size_t{1} << 50), std::bad_alloc);
}

#ifdef __linux__
size_t ResidentBytes() {
  size_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

// 20 buffers a little over 2 MB would take 80 MB in whole huge pages. What the test itself and other threads
// take meanwhile is far less than the half that is left.
TEST(AlignedBuffer, TakesNoMoreThanItNeedsAndGivesItBack) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer keeps bytes of its own for each that is touched; they stay resident";
#endif
  constexpr size_t kBuffers = 20, kBytes = 2 * kMegabyte + 4096;
  const size_t before = ResidentBytes();
  {
    std::vector<AlignedBuffer> buffers;
    for (size_t i = 0; i < kBuffers; ++i) {
      buffers.emplace_back(kBytes);
      std::memset(buffers.back().data(), 1, kBytes);
    }
    EXPECT_GE(ResidentBytes(), before + kBuffers * kBytes - kMegabyte);
    EXPECT_LT(ResidentBytes(), before + kBuffers * 3 * kMegabyte);
  }
  EXPECT_LT(ResidentBytes(), before + 10 * kMegabyte);
}
#endif

}  // namespace
}  // namespace resnet_native::cpu
