#pragma once

#include <cstdint>

namespace resnet_native::cpu {

// For what is not negative, and a positive divisor.
constexpr int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t RoundUp(int64_t value, int64_t multiple) { return CeilDiv(value, multiple) * multiple; }

constexpr int64_t kCacheLine = 64;  // bytes

}  // namespace resnet_native::cpu
