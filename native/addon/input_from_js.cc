#include "native/addon/input_from_js.h"

#include "native/addon/js_values.h"
#include "native/error.h"

namespace resnet_native {

InputBatch InputFromJs(const Napi::Object& js, int channels, int max_batch, HeldBytes* held) {
  InputBatch input;
  const Napi::Value data = js.Get("data");
  const bool is_float =
      data.IsTypedArray() && data.As<Napi::TypedArray>().TypedArrayType() == napi_float32_array;
  const bool is_nchw = ToText(js.Get("layout"), "layout") == "NCHW";
  input.dtype = is_float ? DType::kFloat32 : DType::kUint8;
  input.layout = is_float && is_nchw ? Layout::kNchw : Layout::kNhwc;
  input.n = ToInteger(js.Get("n"), "n", 1, max_batch);
  input.h = ToInteger(js.Get("h"), "h", 1, kMaxInt);
  input.w = ToInteger(js.Get("w"), "w", 1, kMaxInt);
  input.c = channels;
  const auto array = ToTypedArray(data, "data", is_float ? napi_float32_array : napi_uint8_array);
  *held = Hold(array);
  input.data = held->data;
  // As divisions, because the product could wrap around.
  const uint64_t pixels = held->size / (is_float ? sizeof(float) : 1) / input.n / input.c;
  const uint64_t bytes = pixels * input.n * input.c * (is_float ? sizeof(float) : 1);
  if (bytes != held->size || pixels / input.h != static_cast<uint64_t>(input.w) || pixels % input.h) {
    throw Error(ErrorCode::kInvalidShape, "the input's data does not have the size of its shape");
  }
  return input;
}

}  // namespace resnet_native
