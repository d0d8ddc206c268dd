#pragma once

#include "native/backend.h"
#include "native/graph/graph.h"

// The loops that the reference's kernels are made of.

namespace resnet_native::reference {

// Calls body(n, h, w, c, index) for each element of an NHWC tensor, in order of memory.
template <class Body>
void ForEach(const TensorShape& shape, Body body) {
  int64_t index = 0;
  for (int64_t n = 0; n < shape.n; ++n) {
    for (int64_t h = 0; h < shape.h; ++h) {
      for (int64_t w = 0; w < shape.w; ++w) {
        for (int64_t c = 0; c < shape.c; ++c) body(n, h, w, c, index++);
      }
    }
  }
}

// Calls body(kernel_h, kernel_w, h, w) for the taps of output pixel (oh, ow), inside the image or not.
template <class Body>
void ForEachTap(const Window& window, int64_t oh, int64_t ow, Body body) {
  for (int kh = 0; kh < window.kernel_h; ++kh) {
    const int64_t h = oh * window.stride_h - window.pad_h + int64_t{kh} * window.dilation_h;
    for (int kw = 0; kw < window.kernel_w; ++kw) {
      body(kh, kw, h, ow * window.stride_w - window.pad_w + int64_t{kw} * window.dilation_w);
    }
  }
}

inline bool IsInside(const TensorShape& x, int64_t h, int64_t w) {
  return h >= 0 && h < x.h && w >= 0 && w < x.w;
}

// Of an element of an NHWC tensor, where it lies in NCHW order.
inline int64_t NchwIndex(const TensorShape& shape, int64_t n, int64_t h, int64_t w, int64_t c) {
  return ((n * shape.c + c) * shape.h + h) * shape.w + w;
}

// Calls body(image, from, c, index) for each value of an input, in order of NHWC memory: it is element `from`
// of its image, which is uint8 or float.
template <class Body>
void ForEachInputValue(const InputBatch& input, Body body) {
  const TensorShape shape{input.n, input.h, input.w, input.c}, image{1, input.h, input.w, input.c};
  ForEach(shape, [&](int64_t n, int64_t h, int64_t w, int64_t c, int64_t index) {
    const int64_t from =
        input.layout == Layout::kNchw ? NchwIndex(image, 0, h, w, c) : index - n * image.elements();
    body(input.images[n], from, c, index);
  });
}

}  // namespace resnet_native::reference
