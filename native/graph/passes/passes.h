#pragma once

#include "native/graph/graph.h"

// Each pass is a function from graph to graph, exact but for rounding, and never folds away an output. A
// fusing pass puts the fused operation in the place of the last node it absorbs, which comes after all that
// both need; what nobody reads any more is then removed by EliminateDead.

namespace resnet_native {

// Removes what no output needs: unused branches and every layer behind the last output.
Graph EliminateDead(Graph graph);

// conv → batch norm becomes one convolution: the scale goes into the filters, the shift into the bias.
Graph FoldBatchNorm(Graph graph);

// conv → add, conv → relu, linear-free tails and add → relu become epilogues of the convolution or of the
// add.
Graph FuseEpilogue(Graph graph);

// The normalisation of uint8 input is done by the convolutions that read it, while they load it. Their
// padding stays zero after normalisation, as torch pads.
Graph FoldNormalize(Graph graph);

// int8 where calibration has found scales: convolutions and fully connected layers with int8 filters, whose
// inputs have a scale, multiply bytes (quantization.h), and what lies between them works on bytes as well.
// The rest stays float32, with explicit conversions at the seams: so a layer is kept in higher precision by
// its filters. Comes after Optimize; throws kInvalidArgument if no node has a scale.
Graph Quantize(Graph graph);

// The max pool behind a convolution that reads the run's input, or its bytes, becomes its last step: the
// largest activation of the network then never lies in memory as a whole. Comes after Quantize, for backends
// that compute convolutions row by row.
Graph FuseMaxPool(Graph graph);

// All but the last two, in the order that lets each find the most.
Graph Optimize(Graph graph);

}  // namespace resnet_native
