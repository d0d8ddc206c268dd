#pragma once

#include "native/backends/cuda/weights.h"
#include "native/graph/graph.h"

namespace resnet_native::cuda {

// Whether a node of a graph that the pass Quantize has seen reads or gives bytes, so that its parameters are
// those of quantization.h.
bool WorksOnBytes(const Graph& graph, NodeId node);

// Adds the parameters of such a node. `padding`: as for WeightImage::AddConvolution. Throws kInvalidArgument
// for weights that are no numbers.
WeightImage::Places AddInt8Parameters(const Graph& graph, NodeId node, int padding, WeightImage* image);

// What makes float32 of bytes held like this.
WeightImage::Places AddDequantization(const Quantization& from, WeightImage* image);

}  // namespace resnet_native::cuda
