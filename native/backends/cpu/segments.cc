#include "native/backends/cpu/segments.h"

#include <algorithm>

#include "native/backends/cpu/arithmetic.h"

namespace resnet_native::cpu {
namespace {

// The segment of each node, by index.
std::vector<size_t> SegmentsOf(const Graph& graph, const std::vector<Segment>& segments) {
  std::vector<size_t> result(graph.nodes.size());
  for (size_t s = 0; s < segments.size(); ++s) {
    std::fill(result.begin() + segments[s].first, result.begin() + segments[s].last, s);
  }
  return result;
}

// One where a neighbour takes hardly more images: what crosses costs more than they bring.
std::vector<Segment> MergeAlike(const std::vector<Segment>& segments) {
  std::vector<Segment> merged;
  for (const Segment& segment : segments) {
    if (merged.empty() || segment.images >= 2 * merged.back().images) {
      merged.push_back(segment);
    } else {
      merged.back().last = segment.last;
      merged.back().images = std::min(merged.back().images, segment.images);
    }
  }
  return merged;
}

}  // namespace

std::vector<Segment> MakeSegments(const Graph& graph, const std::vector<int64_t>& bytes, int64_t n,
                                  int64_t cache_bytes) {
  std::vector<Segment> segments;
  for (NodeId i = 0; i < static_cast<NodeId>(graph.nodes.size()); ++i) {
    int64_t touched = bytes[i];
    for (NodeId input : graph.nodes[i].inputs) touched += bytes[input];
    const int64_t per_image = std::max<int64_t>(touched / n, 1);
    const int64_t fitting = std::clamp<int64_t>(cache_bytes / per_image, 1, n);
    if (segments.empty() || (fitting >= 2 * segments.back().images && bytes[i] > 0)) {
      segments.push_back({i, i, fitting});
    }
    segments.back().images = std::min(segments.back().images, fitting);
    segments.back().last = i + 1;
  }
  return MergeAlike(segments);
}

std::vector<Segment> WholeNetworkWithin(const Graph& graph, const std::vector<int64_t>& bytes, int64_t n,
                                        int64_t arena_bytes) {
  std::vector<int64_t> of_one_image = bytes;
  for (int64_t& size : of_one_image) size /= n;
  const int64_t needed = PlanMemory(graph, of_one_image, kCacheLine).arena_bytes;
  const int64_t fitting = std::clamp<int64_t>(arena_bytes / std::max<int64_t>(needed, 1), 1, n);
  // Turns of nearly equal size: a last one of few images would read all weights for them alone.
  const int64_t images = CeilDiv(n, CeilDiv(n, fitting));
  return {{0, static_cast<NodeId>(graph.nodes.size()), images}};
}

std::vector<bool> CrossingResults(const Graph& graph, const std::vector<Segment>& segments) {
  const std::vector<size_t> segment = SegmentsOf(graph, segments);
  std::vector<bool> crosses(graph.nodes.size(), false);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (NodeId input : graph.nodes[i].inputs)
      crosses[input] = crosses[input] || segment[input] != segment[i];
  }
  return crosses;
}

std::vector<Lifetime> LifetimesIn(const Graph& graph, const std::vector<Segment>& segments) {
  const std::vector<size_t> segment = SegmentsOf(graph, segments);
  std::vector<Lifetime> lifetimes = LifetimesOf(graph);
  for (Lifetime& lifetime : lifetimes) {
    const Segment &writer = segments[segment[lifetime.first]], &reader = segments[segment[lifetime.last]];
    if (writer.first != reader.first) lifetime = {writer.first, reader.last - 1};
  }
  return lifetimes;
}

}  // namespace resnet_native::cpu
