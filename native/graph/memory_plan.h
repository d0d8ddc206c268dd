#pragma once

#include <cstdint>
#include <vector>

#include "native/graph/graph.h"

namespace resnet_native {

// Where each node's result lies in one arena. Two results share bytes only if one is dead before the other is
// written; a node's own inputs are alive while it runs, so nothing is computed in place.
struct MemoryPlan {
  std::vector<int64_t> offsets;  // bytes from the arena's start; 0 for nodes that need none
  int64_t arena_bytes = 0;
};

// The nodes from the one that writes a result to the last that reads it, both inclusive.
struct Lifetime {
  NodeId first = 0, last = 0;
};
// Where the nodes run one after the other.
std::vector<Lifetime> LifetimesOf(const Graph& graph);

// `bytes[i]` is what node i's result needs; 0 for none (the input, which the user owns). Every offset is a
// multiple of `alignment`. A result lives from its node to its last reader; an output is copied to the user
// right after its node.
MemoryPlan PlanMemory(const Graph& graph, const std::vector<int64_t>& bytes, int64_t alignment = 64);
// The same for lifetimes that the caller knows.
MemoryPlan PlanMemory(const std::vector<Lifetime>& lifetimes, const std::vector<int64_t>& bytes,
                      int64_t alignment);

}  // namespace resnet_native
