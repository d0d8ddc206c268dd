#pragma once

#include <napi.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace resnet_native {

// Readers of values that JavaScript hands over. lib/ has checked what users pass, with better words; these
// keep native code safe from anything else. All throw Error kInvalidArgument that names the value.

constexpr int64_t kMaxSafeInteger = (int64_t{1} << 53) - 1;
constexpr int64_t kMaxInt = std::numeric_limits<int>::max();

int64_t ToInteger(const Napi::Value& value, const std::string& name, int64_t min, int64_t max);
// Of a bigint.
int64_t ToInt64(const Napi::Value& value, const std::string& name);
double ToFiniteNumber(const Napi::Value& value, const std::string& name);
std::string ToText(const Napi::Value& value, const std::string& name);
std::vector<std::string> ToTexts(const Napi::Value& value, const std::string& name);
Napi::Object ToObject(const Napi::Value& value, const std::string& name);
Napi::Array ToArray(const Napi::Value& value, const std::string& name);
Napi::TypedArray ToTypedArray(const Napi::Value& value, const std::string& name, napi_typedarray_type type);

}  // namespace resnet_native
