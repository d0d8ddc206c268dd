#pragma once

#include <vector>

#include "native/graph/graph.h"

namespace resnet_native::cpu {

// The data type of each node's result in a network that computes in `compute`: that, but float32 for a fully
// connected layer that ends the network, because its result is small and is the user's. In int8 the quantised
// graph says which results are bytes (kUint8); the others are float32.
std::vector<DType> ResultTypes(const Graph& graph, DType compute);

}  // namespace resnet_native::cpu
