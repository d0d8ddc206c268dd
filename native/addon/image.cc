#include "native/addon/image.h"

#include <memory>
#include <new>
#include <span>

#include "native/addon/js_values.h"
#include "native/addon/memory.h"
#include "native/addon/worker_task.h"
#include "native/backends/backends.h"
#include "native/image/jpeg.h"
#include "native/image/resize.h"

namespace resnet_native {
namespace {

ResizeCropGeometry ReadGeometry(const Napi::Object& js) {
  const auto read = [&](const char* key) {
    return ToInteger(js.Get(key), key, -kMaxImageSide, kMaxImageSide);
  };
  ResizeCropGeometry geometry;
  geometry.resized_height = read("resizedHeight");
  geometry.resized_width = read("resizedWidth");
  geometry.top = read("top");
  geometry.left = read("left");
  geometry.crop_height = read("cropHeight");
  geometry.crop_width = read("cropWidth");
  return geometry;
}

using Bytes = std::span<const uint8_t>;

constexpr size_t kChannels = 3;

struct ImageLayout {
  int64_t height, width;
  ResizeCropGeometry geometry;
};

// What both calls are given.
struct Request {
  Napi::Uint8Array bytes;
  ImageLayout image;
};

Request ReadRequest(const Napi::CallbackInfo& info, const char* name) {
  const auto bytes = ToTypedArray(info[0], name, napi_uint8_array).As<Napi::Uint8Array>();
  const int64_t height = ToInteger(info[1], "height", 1, kMaxImageSide);
  const int64_t width = ToInteger(info[2], "width", 1, kMaxImageSide);
  return {bytes, {height, width, ReadGeometry(ToObject(info[3], "geometry"))}};
}

// Runs `fill(bytes, crop)`, which says whether there is a crop, on a worker.
template <class Fill>
Napi::Value CropOnWorker(Napi::Env env, const Napi::Uint8Array& array, size_t crop_bytes, Fill fill) {
  const Bytes bytes(array.Data(), array.ByteLength());
  const auto result = MemoryBlock::Allocate(crop_bytes);
  const auto keep_alive = std::make_shared<Napi::Reference<Napi::Uint8Array>>(Napi::Persistent(array));
  return RunOnWorker(env, [=]() -> Finish {
    const bool filled = fill(bytes, {static_cast<uint8_t*>(result->data()), result->size()});
    return [result, keep_alive, filled](Napi::Env env) -> Napi::Value {
      if (!filled) return env.Null();
      return Napi::Uint8Array::New(env, result->size(), ToArrayBuffer(env, result), 0);
    };
  });
}

// What a worker needs of files that it decodes: JavaScript's own memory, which stays while they are held.
struct JpegBatch {
  std::vector<JpegCrop> crops;
  std::vector<std::shared_ptr<MemoryBlock>> results;
  std::vector<Napi::Reference<Napi::Uint8Array>> keep_alive;
};

void AddFile(const Napi::Object& js, JpegBatch* batch) {
  const auto file = ToTypedArray(js.Get("file"), "file", napi_uint8_array).As<Napi::Uint8Array>();
  JpegCrop crop{.file = {file.Data(), file.ByteLength()}};
  crop.height = ToInteger(js.Get("height"), "height", 1, kMaxImageSide);
  crop.width = ToInteger(js.Get("width"), "width", 1, kMaxImageSide);
  crop.geometry = ReadGeometry(ToObject(js.Get("geometry"), "geometry"));
  const size_t bytes =
      CheckResizeCrop(crop.height * crop.width * kChannels, crop.height, crop.width, crop.geometry);
  batch->results.push_back(MemoryBlock::Allocate(bytes));
  crop.crop = static_cast<uint8_t*>(batch->results.back()->data());
  batch->crops.push_back(crop);
  batch->keep_alive.push_back(Napi::Persistent(file));
}

}  // namespace

Napi::Value ResizeCropImage(const Napi::CallbackInfo& info) {
  const Request request = ReadRequest(info, "pixels");
  const ImageLayout image = request.image;
  const size_t crop_bytes =
      CheckResizeCrop(request.bytes.ByteLength(), image.height, image.width, image.geometry);
  return CropOnWorker(info.Env(), request.bytes, crop_bytes, [image](Bytes pixels, std::span<uint8_t> crop) {
    ResizeCrop(pixels, image.height, image.width, image.geometry, crop);
    return true;
  });
}

Napi::Value ResizeCropJpeg(const Napi::CallbackInfo& info) {
  const Request request = ReadRequest(info, "file");
  const ImageLayout image = request.image;
  const size_t pixel_bytes = image.height * image.width * kChannels;
  const size_t crop_bytes = CheckResizeCrop(pixel_bytes, image.height, image.width, image.geometry);
  return CropOnWorker(info.Env(), request.bytes, crop_bytes, [=](Bytes file, std::span<uint8_t> crop) {
    const std::unique_ptr<uint8_t[]> pixels(new (std::nothrow) uint8_t[pixel_bytes]);
    if (!pixels || !DecodePlainJpeg(file, image.height, image.width, pixels.get())) return false;
    ResizeCrop({pixels.get(), pixel_bytes}, image.height, image.width, image.geometry, crop);
    return true;
  });
}

Napi::Value DecodeJpegs(const Napi::CallbackInfo& info) {
  const auto batch = std::make_shared<JpegBatch>();
  const std::string device = ToText(info[0], "device");
  const Napi::Array files = ToArray(info[1], "files");
  for (uint32_t i = 0; i < files.Length(); ++i) AddFile(ToObject(files.Get(i), "a file"), batch.get());
  return RunOnWorker(info.Env(), [batch, device]() -> Finish {
    const DeviceRef found = FindDevice(device);
    found.backend->DecodeJpegs(found.index, batch->crops);
    return [batch](Napi::Env env) -> Napi::Value {
      Napi::Array results = Napi::Array::New(env, batch->crops.size());
      for (uint32_t i = 0; i < batch->crops.size(); ++i) {
        const auto& block = batch->results[i];
        if (!batch->crops[i].done) {
          results[i] = env.Null();
        } else {
          results[i] = Napi::Uint8Array::New(env, block->size(), ToArrayBuffer(env, block), 0);
        }
      }
      return results;
    };
  });
}

}  // namespace resnet_native
