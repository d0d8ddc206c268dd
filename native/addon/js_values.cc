#include "native/addon/js_values.h"

#include <cmath>

#include "native/error.h"

namespace resnet_native {
namespace {

[[noreturn]] void Refuse(const std::string& name, const std::string& expected) {
  throw Error(ErrorCode::kInvalidArgument, "expected " + expected + " for " + name);
}

}  // namespace

int64_t ToInteger(const Napi::Value& value, const std::string& name, int64_t min, int64_t max) {
  if (value.IsNumber()) {
    const double number = value.As<Napi::Number>().DoubleValue();
    const bool in_range = number >= static_cast<double>(min) && number <= static_cast<double>(max);
    if (in_range && number == std::floor(number)) return static_cast<int64_t>(number);
  }
  Refuse(name, "an integer from " + std::to_string(min) + " to " + std::to_string(max));
}

int64_t ToInt64(const Napi::Value& value, const std::string& name) {
  bool lossless = false;
  const int64_t integer = value.IsBigInt() ? value.As<Napi::BigInt>().Int64Value(&lossless) : 0;
  if (!lossless) Refuse(name, "a bigint of 64 bits");
  return integer;
}

double ToFiniteNumber(const Napi::Value& value, const std::string& name) {
  if (value.IsNumber()) {
    const double number = value.As<Napi::Number>().DoubleValue();
    if (std::isfinite(number)) return number;
  }
  Refuse(name, "a finite number");
}

std::string ToText(const Napi::Value& value, const std::string& name) {
  if (!value.IsString()) Refuse(name, "a string");
  return value.As<Napi::String>().Utf8Value();
}

std::vector<std::string> ToTexts(const Napi::Value& value, const std::string& name) {
  const Napi::Array array = ToArray(value, name);
  std::vector<std::string> texts;
  for (uint32_t i = 0; i < array.Length(); ++i) texts.push_back(ToText(array.Get(i), name));
  return texts;
}

Napi::Object ToObject(const Napi::Value& value, const std::string& name) {
  if (!value.IsObject()) Refuse(name, "an object");
  return value.As<Napi::Object>();
}

Napi::Array ToArray(const Napi::Value& value, const std::string& name) {
  if (!value.IsArray()) Refuse(name, "an array");
  return value.As<Napi::Array>();
}

Napi::TypedArray ToTypedArray(const Napi::Value& value, const std::string& name, napi_typedarray_type type) {
  const char* expected = type == napi_float32_array ? "a Float32Array" : "a Uint8Array";
  if (!value.IsTypedArray()) Refuse(name, expected);
  Napi::TypedArray array = value.As<Napi::TypedArray>();
  if (array.TypedArrayType() != type) Refuse(name, expected);
  return array;
}

}  // namespace resnet_native
