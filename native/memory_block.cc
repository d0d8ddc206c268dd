#include "native/memory_block.h"

#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "native/error.h"

namespace resnet_native {
namespace {

constexpr size_t kAlignment = 64;

struct Registry {
  std::mutex mutex;
  std::map<uintptr_t, std::weak_ptr<MemoryBlock>> blocks;  // by address
};

// Never destroyed: threads may still use it while the process exits.
Registry& SharedBlocks() {
  static Registry* registry = new Registry;
  return *registry;
}

void* Align(void* address) {
  const auto value = reinterpret_cast<uintptr_t>(address);
  return reinterpret_cast<void*>((value + kAlignment - 1) / kAlignment * kAlignment);
}

// Large blocks are touched once, from end to end: with pages of 2 MB the system takes a fifth of the time to
// hand them out. Advice: its failure changes nothing.
void AdviseHugePages(void* address, size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr uintptr_t kHugePage = uintptr_t{2} << 20;
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(address) + kHugePage - 1) / kHugePage * kHugePage;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(address) + bytes) / kHugePage * kHugePage;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  (void)address, (void)bytes;
#endif
}

}  // namespace

MemoryBlock::MemoryBlock(size_t bytes, bool zeroed) : allocation_(nullptr), size_(bytes) {
  const size_t padded = bytes + kAlignment;
  // calloc rather than memset: the pages of a large block come zeroed from the system when they are touched.
  if (padded > bytes) allocation_ = zeroed ? std::calloc(1, padded) : std::malloc(padded);
  if (!allocation_) {
    throw Error(ErrorCode::kOutOfMemory,
                "cannot allocate " + std::to_string(bytes) + " bytes; use smaller batches or fewer outputs");
  }
  data_ = Align(allocation_);
  AdviseHugePages(allocation_, padded);
}

MemoryBlock::~MemoryBlock() {
  if (shared_) {
    Registry& registry = SharedBlocks();
    std::lock_guard lock(registry.mutex);
    registry.blocks.erase(reinterpret_cast<uintptr_t>(data_));
  }
  std::free(allocation_);
}

std::shared_ptr<MemoryBlock> MemoryBlock::Allocate(size_t bytes) {
  return std::shared_ptr<MemoryBlock>(new MemoryBlock(bytes, false));
}

std::shared_ptr<MemoryBlock> MemoryBlock::AllocateShared(size_t bytes) {
  std::shared_ptr<MemoryBlock> block(new MemoryBlock(bytes, true));
  Registry& registry = SharedBlocks();
  std::lock_guard lock(registry.mutex);
  registry.blocks.emplace(reinterpret_cast<uintptr_t>(block->data_), block);
  block->shared_ = true;
  return block;
}

std::shared_ptr<MemoryBlock> MemoryBlock::FindShared(const void* data, size_t bytes) {
  const auto address = reinterpret_cast<uintptr_t>(data);
  Registry& registry = SharedBlocks();
  std::shared_ptr<MemoryBlock> block;  // outlives the lock: dropping a last reference takes it again
  std::lock_guard lock(registry.mutex);
  auto after = registry.blocks.upper_bound(address);
  if (after == registry.blocks.begin()) return nullptr;
  block = std::prev(after)->second.lock();
  if (!block) return nullptr;
  const size_t offset = address - std::prev(after)->first;
  return offset <= block->size_ && bytes <= block->size_ - offset ? std::move(block) : nullptr;
}

}  // namespace resnet_native
