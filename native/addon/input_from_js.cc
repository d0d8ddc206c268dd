#include "native/addon/input_from_js.h"

#include "native/addon/js_values.h"
#include "native/error.h"

namespace resnet_native {
namespace {

Error WrongSize() {
  return Error(ErrorCode::kInvalidShape, "the input's data does not have the size of its shape");
}

// Bytes of an image, of which `total` bytes are at most as many as there are; by divisions, because the
// product could wrap around.
int64_t ImageBytes(const InputBatch& input, uint64_t total) {
  const auto pixel = static_cast<uint64_t>(input.c * ElementBytes(input.dtype));
  const auto h = static_cast<uint64_t>(input.h), w = static_cast<uint64_t>(input.w);
  if (total / pixel / h < w) throw WrongSize();
  return input.image_bytes();
}

}  // namespace

InputBatch InputFromJs(const Napi::Object& js, int channels, int max_batch, HeldImages* held) {
  InputBatch input;
  const Napi::Array parts = ToArray(js.Get("parts"), "parts");
  const Napi::Value first = parts[0u];
  const bool is_float =
      first.IsTypedArray() && first.As<Napi::TypedArray>().TypedArrayType() == napi_float32_array;
  const bool is_nchw = ToText(js.Get("layout"), "layout") == "NCHW";
  input.dtype = is_float ? DType::kFloat32 : DType::kUint8;
  input.layout = is_float && is_nchw ? Layout::kNchw : Layout::kNhwc;
  input.n = ToInteger(js.Get("n"), "n", 1, max_batch);
  input.h = ToInteger(js.Get("h"), "h", 1, kMaxInt);
  input.w = ToInteger(js.Get("w"), "w", 1, kMaxInt);
  input.c = channels;
  for (uint32_t i = 0; i < parts.Length(); ++i) {
    const Napi::Value part = parts[i];
    const HeldBytes bytes =
        Hold(ToTypedArray(part, "a part", is_float ? napi_float32_array : napi_uint8_array));
    const int64_t image_bytes = ImageBytes(input, bytes.size);
    if (bytes.size % image_bytes != 0) throw WrongSize();
    const auto images = ImagesIn(bytes.data, bytes.size / image_bytes, image_bytes);
    held->images.insert(held->images.end(), images.begin(), images.end());
    held->owners.push_back(bytes.owner);
  }
  if (static_cast<int64_t>(held->images.size()) != input.n) throw WrongSize();
  input.images = held->images.data();
  return input;
}

}  // namespace resnet_native
