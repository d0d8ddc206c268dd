#include "native/memory_block.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <thread>
#include <vector>

#include "native/error.h"

namespace resnet_native {
namespace {

const char* At(const MemoryBlock& block, size_t offset) {
  return static_cast<const char*>(block.data()) + offset;
}

TEST(MemoryBlock, IsAlignedAndHoldsWhatIsWritten) {
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{100'000}}) {
    const auto block = MemoryBlock::Allocate(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block->data()) % 64, 0u);
    EXPECT_EQ(block->size(), bytes);
    std::fill_n(static_cast<char*>(block->data()), bytes, 'x');  // the sanitizers check the bounds
  }
}

TEST(MemoryBlock, SharedOnesAreZeroed) {
  const auto block = MemoryBlock::AllocateShared(5000);
  for (size_t i = 0; i < block->size(); ++i) EXPECT_EQ(*At(*block, i), 0);
}

TEST(MemoryBlock, SharedOnesAreFoundByAnyAddressInside) {
  const auto first = MemoryBlock::AllocateShared(1000), second = MemoryBlock::AllocateShared(1000);
  EXPECT_EQ(MemoryBlock::FindShared(first->data(), 1000), first);
  EXPECT_EQ(MemoryBlock::FindShared(At(*first, 600), 400), first);
  EXPECT_EQ(MemoryBlock::FindShared(At(*second, 1), 1), second);
}

TEST(MemoryBlock, NothingIsFoundThatReachesOutside) {
  const auto block = MemoryBlock::AllocateShared(1000);
  EXPECT_EQ(MemoryBlock::FindShared(block->data(), 1001), nullptr);
  EXPECT_EQ(MemoryBlock::FindShared(At(*block, 1), 1000), nullptr);
  EXPECT_EQ(MemoryBlock::FindShared(At(*block, 1), std::numeric_limits<size_t>::max()), nullptr);
  EXPECT_EQ(MemoryBlock::FindShared(At(*block, 0) - 1, 2), nullptr);
}

TEST(MemoryBlock, OthersAreNotFound) {
  const auto block = MemoryBlock::Allocate(1000);
  EXPECT_EQ(MemoryBlock::FindShared(block->data(), 1), nullptr);
}

TEST(MemoryBlock, IsNotFoundOnceItIsGone) {
  auto block = MemoryBlock::AllocateShared(1000);
  const void* address = block->data();
  std::weak_ptr<MemoryBlock> watch = block;
  auto held = MemoryBlock::FindShared(address, 10);
  block.reset();
  EXPECT_FALSE(watch.expired());
  held.reset();
  EXPECT_TRUE(watch.expired());
  EXPECT_EQ(MemoryBlock::FindShared(address, 10), nullptr);
}

TEST(MemoryBlock, RefusesSizesThatCannotBe) {
  for (const size_t bytes : {std::numeric_limits<size_t>::max(), std::numeric_limits<size_t>::max() / 2}) {
    try {
      MemoryBlock::AllocateShared(bytes);
      FAIL() << "allocated " << bytes;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
    }
  }
}

TEST(MemoryBlock, ManyThreadsMayAllocateFindAndFree) {
  std::vector<std::thread> threads;
  for (uint32_t seed = 0; seed < 4; ++seed) {
    threads.emplace_back([seed] {
      std::mt19937 random(seed);
      std::vector<std::shared_ptr<MemoryBlock>> blocks(8);
      for (int i = 0; i < 2000; ++i) {
        auto& block = blocks[random() % blocks.size()];
        block = MemoryBlock::AllocateShared(1 + random() % 300);
        const size_t offset = random() % block->size();
        EXPECT_EQ(MemoryBlock::FindShared(At(*block, offset), block->size() - offset), block);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace resnet_native
