#pragma once

#include <vector>

#include "native/graph/graph.h"
#include "native/graph/memory_plan.h"

namespace resnet_native::cpu {

// Nodes that run for a few images of the batch, then for the next few: what they hand to each other then
// stays in the second-level caches.
struct Segment {
  NodeId first, last;  // [first, last)
  int64_t images;      // at a time
};

// `bytes[i]` is what node i's result needs for the whole batch of n images. Each segment takes as many images
// as fit into `cache_bytes` with what a node reads and writes, at least one, and ends where at least twice as
// many would fit.
std::vector<Segment> MakeSegments(const Graph& graph, const std::vector<int64_t>& bytes, int64_t n,
                                  int64_t cache_bytes);

// One segment of all nodes, in as few turns of nearly as many images as an arena of so many bytes allows;
// each has at least one.
std::vector<Segment> WholeNetworkWithin(const Graph& graph, const std::vector<int64_t>& bytes, int64_t n,
                                        int64_t arena_bytes);

// Which results other segments read, too: these hold the whole batch, all others the images of a moment.
std::vector<bool> CrossingResults(const Graph& graph, const std::vector<Segment>& segments);

// Lifetimes where segments run several times: what crosses lives from the start of the segment that writes it
// to the end of the last that reads it.
std::vector<Lifetime> LifetimesIn(const Graph& graph, const std::vector<Segment>& segments);

}  // namespace resnet_native::cpu
