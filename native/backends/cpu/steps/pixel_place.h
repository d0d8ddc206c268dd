#pragma once

#include <cstdint>

#include "native/tensor.h"

namespace resnet_native::cpu {

// Where a pixel of a batch lies, its pixels counted through.
struct PixelPlace {
  int64_t n, h, w;

  PixelPlace(int64_t pixel, const TensorShape& shape)
      : n(pixel / (shape.h * shape.w)), h(pixel / shape.w % shape.h), w(pixel % shape.w) {}

  void Next(const TensorShape& shape) {
    if (++w < shape.w) return;
    w = 0;
    if (++h < shape.h) return;
    h = 0;
    ++n;
  }
};

}  // namespace resnet_native::cpu
