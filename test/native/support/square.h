#pragma once

#include "native/graph/graph.h"

namespace resnet_native::testing {

// A square window.
inline Window Square(int kernel, int stride = 1, int pad = 0, int dilation = 1) {
  return {kernel, kernel, stride, stride, pad, pad, dilation, dilation};
}

}  // namespace resnet_native::testing
