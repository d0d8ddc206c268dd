#pragma once

#include <napi.h>

#include "native/graph/graph.h"

namespace resnet_native {

// The graph that lib/graph/graph.ts describes, with its parameters: `nodes` is an array of GraphNode,
// `outputs` an array of node names, `parameters` an object of { shape, data } by key. Parameters in memory of
// allocate() are referenced and others copied. Throws Error kInvalidArgument or kUnknownNode, naming the
// node, for whatever is not of that form; that the whole makes sense is for Validate() to see.
Graph GraphFromJs(const Napi::Value& nodes, const Napi::Value& outputs, const Napi::Value& parameters);

}  // namespace resnet_native
