#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "native/backend.h"
#include "native/backends/cuda/device.h"

namespace resnet_native::cuda {

// From JPEG files to crops on one device: decoded, resized with Pillow's arithmetic and cut out there, and
// handed back in host memory, because a crop is a small part of what a picture is. Keeps its memory, up to a
// bound. Thread-safe; calls take turns.
class JpegCrops {
 public:
  // Throws kDeviceUnavailable where the device has no decoder.
  explicit JpegCrops(std::shared_ptr<Device> device);

  // Leaves undone what the decoder cannot do or there is no memory for. Throws what else the device reports.
  void Run(std::span<JpegCrop> crops);

 private:
  // Where an image and what is made of it lie in the device's memory: bytes from its start.
  struct Places {
    size_t pixels, halfway, crop, filter_across, filter_down;
  };
  // Images that are worked on together.
  struct Chunk {
    std::vector<JpegCrop*> crops;
    std::vector<Places> places;
    std::vector<int32_t> filters;  // of all passes, as they lie in memory from `filters_begin` on
    size_t filters_begin = 0, crops_begin = 0, crops_end = 0;
  };

  bool Takes(const JpegCrop& crop);
  void RunTogether(std::vector<JpegCrop*> crops);
  bool RunChunk(std::vector<JpegCrop*> crops);
  bool RunPlaced(const Chunk& chunk);
  static Chunk Place(std::vector<JpegCrop*> crops);
  void Reserve(const Chunk& chunk);
  bool Decode(const Chunk& chunk);
  void Resample(const JpegCrop& crop, const Places& places);
  void Launch(const cuda::Resample& pass, size_t x, size_t filter, size_t y);
  char* At(size_t place) const { return static_cast<char*>(memory_->data()) + place; }

  const std::shared_ptr<Device> device_;
  std::mutex mutex_;
  const std::unique_ptr<ImageDecoder> decoder_;
  // In this order: the stream goes first, and waits for what it does with the rest.
  std::vector<std::unique_ptr<const Kernel>> kernels_;  // of the chunk under way
  std::unique_ptr<Buffer> memory_, pinned_filters_, pinned_crops_;
  const std::unique_ptr<Event> done_;
  const std::unique_ptr<Stream> stream_;
};

}  // namespace resnet_native::cuda
