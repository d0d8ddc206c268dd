#include "native/backends/cuda/jpeg_crops.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "native/image/filter.h"

namespace resnet_native::cuda {
namespace {

constexpr int64_t kChannels = 3;
// Of images that are decoded together: what hardware decoders fill up on, and no more memory than that
// (beside the filters).
constexpr size_t kMostImages = 64;
constexpr int64_t kMostBytes = int64_t{256} << 20;

size_t Aligned(int64_t bytes) {
  return (static_cast<size_t>(bytes) + kAlignment - 1) / kAlignment * kAlignment;
}

int64_t PixelBytes(const JpegCrop& crop) { return crop.height * crop.width * kChannels; }
bool GoesDownFirst(const JpegCrop& crop) { return IsVerticalFirst(crop.height, crop.width, crop.geometry); }
// Between the two passes.
int64_t HalfwayBytes(const JpegCrop& crop) {
  const ResizeCropGeometry& to = crop.geometry;
  return (GoesDownFirst(crop) ? to.crop_height * crop.width : crop.height * to.crop_width) * kChannels;
}
int64_t CropBytes(const JpegCrop& crop) {
  return crop.geometry.crop_height * crop.geometry.crop_width * kChannels;
}

// With what is made of it.
int64_t AllBytes(const JpegCrop& crop) { return PixelBytes(crop) + HalfwayBytes(crop) + CropBytes(crop); }

bool IsInside(int64_t begin, int64_t size, int64_t whole) { return begin >= 0 && size <= whole - begin; }

Filter AcrossOf(const JpegCrop& crop) {
  const ResizeCropGeometry& to = crop.geometry;
  return BilinearFilter(crop.width, to.resized_width, to.left, to.left + to.crop_width);
}
Filter DownOf(const JpegCrop& crop) {
  const ResizeCropGeometry& to = crop.geometry;
  return BilinearFilter(crop.height, to.resized_height, to.top, to.top + to.crop_height);
}

// As the operation Resample reads it, filled up to an aligned end. Returns where it begins.
size_t Append(const Filter& filter, std::vector<int32_t>* to) {
  const size_t begin = to->size() * sizeof(int32_t);
  for (const std::vector<int32_t>* part : {&filter.first, &filter.count, &filter.weights}) {
    to->insert(to->end(), part->begin(), part->end());
  }
  to->resize(Aligned(static_cast<int64_t>(to->size() * sizeof(int32_t))) / sizeof(int32_t));
  return begin;
}

void Grow(std::unique_ptr<Buffer>& buffer, size_t bytes, bool pinned, Device& device) {
  if (buffer && buffer->bytes() >= bytes) return;
  buffer.reset();  // not both at once
  buffer = pinned ? device.AllocatePinned(bytes) : device.Allocate(bytes);
}

}  // namespace

JpegCrops::JpegCrops(std::shared_ptr<Device> device)
    : device_(std::move(device)),
      decoder_(device_->NewImageDecoder()),
      done_(device_->NewEvent()),
      stream_(device_->NewStream()) {}

void JpegCrops::Run(std::span<JpegCrop> crops) {
  std::lock_guard lock(mutex_);
  std::vector<JpegCrop*> chunk;
  int64_t bytes = 0;
  for (JpegCrop& crop : crops) {
    crop.done = false;
    if (!Takes(crop)) continue;
    bytes += AllBytes(crop);
    if (!chunk.empty() && (chunk.size() == kMostImages || bytes > kMostBytes)) {
      RunTogether(std::exchange(chunk, {}));
      bytes = AllBytes(crop);
    }
    chunk.push_back(&crop);
  }
  if (!chunk.empty()) RunTogether(std::move(chunk));
}

// One file that the decoder fails at spoils those beside it: then each goes alone.
void JpegCrops::RunTogether(std::vector<JpegCrop*> crops) {
  if (RunChunk(crops) || crops.size() == 1) return;
  for (JpegCrop* crop : crops) RunChunk({crop});
}

// Very large pictures, and crops that reach outside of them, are left to the host.
bool JpegCrops::Takes(const JpegCrop& crop) {
  const ResizeCropGeometry& to = crop.geometry;
  if (!IsInside(to.left, to.crop_width, to.resized_width)) return false;
  if (!IsInside(to.top, to.crop_height, to.resized_height)) return false;
  if (AllBytes(crop) > kMostBytes) return false;
  return decoder_->Takes(crop.file, crop.height, crop.width);
}

// In memory lie pixels and what the passes make of them, then filters, then all crops.
JpegCrops::Chunk JpegCrops::Place(std::vector<JpegCrop*> crops) {
  Chunk chunk{.crops = std::move(crops)};
  size_t end = 0;
  const auto place = [&end](int64_t bytes) {
    const size_t begin = end;
    end += Aligned(bytes);
    return begin;
  };
  for (const JpegCrop* crop : chunk.crops) {
    Places places{.pixels = place(PixelBytes(*crop)), .halfway = place(HalfwayBytes(*crop))};
    places.filter_across = Append(AcrossOf(*crop), &chunk.filters);
    places.filter_down = Append(DownOf(*crop), &chunk.filters);
    chunk.places.push_back(places);
  }
  chunk.filters_begin = place(static_cast<int64_t>(chunk.filters.size() * sizeof(int32_t)));
  chunk.crops_begin = end;
  for (size_t i = 0; i < chunk.crops.size(); ++i) {
    chunk.places[i].crop = place(CropBytes(*chunk.crops[i]));
    chunk.places[i].filter_across += chunk.filters_begin;
    chunk.places[i].filter_down += chunk.filters_begin;
  }
  chunk.crops_end = end;
  return chunk;
}

void JpegCrops::Reserve(const Chunk& chunk) {
  Grow(memory_, chunk.crops_end, false, *device_);
  Grow(pinned_filters_, chunk.filters.size() * sizeof(int32_t), true, *device_);
  Grow(pinned_crops_, chunk.crops_end - chunk.crops_begin, true, *device_);
}

// False: nothing of it was done.
bool JpegCrops::RunChunk(std::vector<JpegCrop*> crops) {
  try {
    const Chunk chunk = Place(std::move(crops));
    Reserve(chunk);
    return RunPlaced(chunk);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kOutOfMemory) throw;
    return false;
  }
}

bool JpegCrops::RunPlaced(const Chunk& chunk) {
  bool decoded = false;
  std::exception_ptr error;
  try {
    decoded = Decode(chunk);
    if (decoded) {
      const size_t bytes = chunk.filters.size() * sizeof(int32_t);
      std::memcpy(pinned_filters_->data(), chunk.filters.data(), bytes);
      stream_->CopyToDevice(At(chunk.filters_begin), pinned_filters_->data(), bytes);
      for (size_t i = 0; i < chunk.crops.size(); ++i) Resample(*chunk.crops[i], chunk.places[i]);
      stream_->CopyToHost(pinned_crops_->data(), At(chunk.crops_begin), chunk.crops_end - chunk.crops_begin);
    }
  } catch (...) {
    error = std::current_exception();
  }
  // Whatever happened, what was queued uses the files, and this memory.
  stream_->Record(*done_);
  done_->Synchronize();
  kernels_.clear();
  if (error) std::rethrow_exception(error);
  if (!decoded) return false;
  for (size_t i = 0; i < chunk.crops.size(); ++i) {
    JpegCrop& crop = *chunk.crops[i];
    const size_t begin = chunk.places[i].crop - chunk.crops_begin;
    std::memcpy(crop.crop, static_cast<const char*>(pinned_crops_->data()) + begin, CropBytes(crop));
    crop.done = true;
  }
  return true;
}

bool JpegCrops::Decode(const Chunk& chunk) {
  std::vector<EncodedImage> images;
  for (size_t i = 0; i < chunk.crops.size(); ++i) {
    const JpegCrop& crop = *chunk.crops[i];
    images.push_back({crop.file, crop.height, crop.width, At(chunk.places[i].pixels)});
  }
  return decoder_->Decode(*stream_, images);
}

void JpegCrops::Resample(const JpegCrop& crop, const Places& places) {
  const ResizeCropGeometry& to = crop.geometry;
  const bool down_first = GoesDownFirst(crop);
  const cuda::Resample across{down_first ? to.crop_height : crop.height, crop.width, to.crop_width, kChannels,
                              AcrossOf(crop).stride};
  const cuda::Resample down{1, crop.height, to.crop_height,
                            (down_first ? crop.width : to.crop_width) * kChannels, DownOf(crop).stride};
  if (down_first) {
    Launch(down, places.pixels, places.filter_down, places.halfway);
    Launch(across, places.halfway, places.filter_across, places.crop);
  } else {
    Launch(across, places.pixels, places.filter_across, places.halfway);
    Launch(down, places.halfway, places.filter_down, places.crop);
  }
}

void JpegCrops::Launch(const cuda::Resample& pass, size_t x, size_t filter, size_t y) {
  kernels_.push_back(device_->Build(pass, device_->Candidates(pass).front().name));
  stream_->Launch(*kernels_.back(), {.x = At(x), .y = At(y), .filters = At(filter)});
}

}  // namespace resnet_native::cuda
