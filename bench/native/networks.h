#pragma once

#include "native/graph/graph.h"

namespace resnet_native::bench {

// Which ResNet: 32 groups of width 4 make ResNet-50 a ResNeXt-50 32x4d.
struct NetworkOptions {
  int depth = 50;  // 18 or 50
  int groups = 1, width_per_group = 64;
};

// A network for images of 224 × 224 with random weights, batch norms already folded into biases. Its one
// output is the logits. Throws Error, kInvalidArgument for another depth.
Graph BuildResNet(const NetworkOptions& options);

}  // namespace resnet_native::bench
