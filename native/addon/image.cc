#include "native/addon/image.h"

#include "native/addon/js_values.h"
#include "native/addon/memory.h"
#include "native/addon/worker_task.h"
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

}  // namespace

Napi::Value ResizeCropImage(const Napi::CallbackInfo& info) {
  const auto pixels = ToTypedArray(info[0], "pixels", napi_uint8_array).As<Napi::Uint8Array>();
  const int64_t height = ToInteger(info[1], "height", 1, kMaxImageSide);
  const int64_t width = ToInteger(info[2], "width", 1, kMaxImageSide);
  const ResizeCropGeometry geometry = ReadGeometry(ToObject(info[3], "geometry"));
  const std::span<const uint8_t> bytes(pixels.Data(), pixels.ByteLength());
  const auto result = MemoryBlock::Allocate(CheckResizeCrop(bytes.size(), height, width, geometry));
  const auto keep_alive = std::make_shared<Napi::Reference<Napi::Uint8Array>>(Napi::Persistent(pixels));

  return RunOnWorker(info.Env(), [=]() -> Finish {
    ResizeCrop(bytes, height, width, geometry, {static_cast<uint8_t*>(result->data()), result->size()});
    return [result, keep_alive](Napi::Env env) {
      return Napi::Uint8Array::New(env, result->size(), ToArrayBuffer(env, result), 0);
    };
  });
}

}  // namespace resnet_native
