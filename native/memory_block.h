#pragma once

#include <cstddef>
#include <memory>

namespace resnet_native {

// A piece of memory, 64-byte aligned, freed with its last reference. Thread-safe; who writes to the contents
// is the users' affair.
class MemoryBlock {
 public:
  // Not initialised: for copies of inputs and for results. Throws kOutOfMemory.
  static std::shared_ptr<MemoryBlock> Allocate(size_t bytes);

  // Zeroed, and found again by FindShared(): memory that JavaScript fills and native code reads in place.
  // Throws kOutOfMemory.
  static std::shared_ptr<MemoryBlock> AllocateShared(size_t bytes);

  // The living shared block that holds all of [data, data + bytes), or null. A block is found by address
  // because JavaScript may wrap, transfer or detach its buffers as it likes: whoever holds the block is safe
  // from that.
  static std::shared_ptr<MemoryBlock> FindShared(const void* data, size_t bytes);

  ~MemoryBlock();
  MemoryBlock(const MemoryBlock&) = delete;
  MemoryBlock& operator=(const MemoryBlock&) = delete;

  void* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  MemoryBlock(size_t bytes, bool zeroed);

  void* allocation_;  // what malloc gave; data_ is its first aligned byte
  void* data_;
  size_t size_;
  bool shared_ = false;
};

}  // namespace resnet_native
