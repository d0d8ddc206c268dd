#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace resnet_native {

enum class DType { kUint8, kInt8, kFloat16, kBfloat16, kTf32, kFloat32 };
inline constexpr int kDTypes = 6;

// Bytes of one element.
constexpr int64_t ElementBytes(DType dtype) {
  switch (dtype) {
    case DType::kUint8:
    case DType::kInt8:
      return 1;
    case DType::kFloat16:
    case DType::kBfloat16:
      return 2;
    case DType::kTf32:
    case DType::kFloat32:
      return 4;
  }
  return 4;
}

// How the public API's batches of images lie in memory. Inside, everything is NHWC.
enum class Layout { kNhwc, kNchw };

// One activation: n images of h × w pixels and c channels, NHWC. What torch calls [n, c] is h = w = 1 with
// rank 2; rank matters only for the shape that is shown to the user.
struct TensorShape {
  int64_t n = 0, h = 0, w = 0, c = 0;
  int rank = 4;

  int64_t elements() const { return n * h * w * c; }
  bool operator==(const TensorShape&) const = default;
};

// A float32 parameter. `owner` keeps the memory alive: a copy of our own, or a block shared with JavaScript
// that this process promises not to free. Copies of a Weight share the memory; nothing ever writes through
// it.
struct Weight {
  std::shared_ptr<const void> owner;
  const float* data = nullptr;
  size_t size = 0;

  static Weight Own(std::vector<float> values) {
    auto held = std::make_shared<const std::vector<float>>(std::move(values));
    return Weight{held, held->data(), held->size()};
  }
  float operator[](size_t i) const { return data[i]; }
  bool empty() const { return size == 0; }
};

}  // namespace resnet_native
