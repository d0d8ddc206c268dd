#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "native/backends/cuda/device.h"

namespace resnet_native::cuda {

// Device memory of one plan and its contexts, within a budget. Thread-safe.
class DeviceMemory : public std::enable_shared_from_this<DeviceMemory> {
 public:
  // One piece; gives its bytes back to the budget when it goes.
  class Block {
   public:
    Block(std::unique_ptr<Buffer> buffer, std::shared_ptr<DeviceMemory> memory)
        : buffer_(std::move(buffer)), memory_(std::move(memory)) {}
    ~Block() {
      const size_t bytes = buffer_->bytes();
      buffer_.reset();  // first, so that who gets the bytes finds them
      memory_->used_ -= bytes;
    }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;

    char* data() const { return static_cast<char*>(buffer_->data()); }
    size_t bytes() const { return buffer_->bytes(); }

   private:
    std::unique_ptr<Buffer> buffer_;
    std::shared_ptr<DeviceMemory> memory_;
  };

  // `budget` in bytes; 0: as much as there is.
  DeviceMemory(std::shared_ptr<Device> device, size_t budget) : device_(std::move(device)), budget_(budget) {}

  // Throws kOutOfMemory, saying how much `what` needs and how much there is.
  std::unique_ptr<Block> Allocate(size_t bytes, const std::string& what);

  // What is left of the budget, or of the device if that is less.
  size_t Free() const;

 private:
  const std::shared_ptr<Device> device_;
  const size_t budget_;
  std::atomic<size_t> used_{0};
};

// "1.5 GiB", "20 MiB": rounded up.
std::string ShowBytes(size_t bytes);

}  // namespace resnet_native::cuda
