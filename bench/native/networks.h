#pragma once

#include "native/graph/graph.h"

namespace resnet_native::bench {

// ResNet-18 or ResNet-50 for images of 224 × 224 with random weights, batch norms already folded into biases.
// Its one output is the logits. Throws Error, kInvalidArgument for another depth.
Graph BuildResNet(int depth);

}  // namespace resnet_native::bench
