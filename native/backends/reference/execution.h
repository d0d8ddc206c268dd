#pragma once

#include <vector>

#include "native/backend.h"
#include "native/graph/quantization.h"

namespace resnet_native::reference {

// The int8 filters of each node that multiplies bytes, and what follows their sums; empty for other nodes.
struct Int8Layer {
  Int8Filters filters;
  Requantization to;
};

// Of each node of a graph. Throws kInvalidArgument for weights that int8 cannot hold.
std::vector<Int8Layer> MakeInt8Layers(const Graph& graph);

// Runs one batch, node by node. Throws Error or std::bad_alloc.
void Execute(const Graph& graph, const std::vector<Int8Layer>& int8_layers, const RunRequest& request);

}  // namespace resnet_native::reference
