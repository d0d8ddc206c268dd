#include "native/graph/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace resnet_native {
namespace {

bool Overlap(const Lifetime& a, const Lifetime& b) { return a.first <= b.last && b.first <= a.last; }

// The lowest offset at which `bytes` fit between the blocks given, which are sorted by offset and may
// overlap.
int64_t LowestGap(const std::vector<std::pair<int64_t, int64_t>>& blocks, int64_t bytes) {
  int64_t offset = 0;
  for (const auto& [begin, end] : blocks) {
    if (offset + bytes <= begin) break;
    offset = std::max(offset, end);
  }
  return offset;
}

}  // namespace

std::vector<Lifetime> LifetimesOf(const Graph& graph) {
  std::vector<Lifetime> lifetimes(graph.nodes.size());
  for (NodeId i = 0; i < static_cast<NodeId>(graph.nodes.size()); ++i) {
    lifetimes[i] = {i, i};
    for (NodeId input : graph.nodes[i].inputs) lifetimes[input].last = i;
  }
  return lifetimes;
}

MemoryPlan PlanMemory(const Graph& graph, const std::vector<int64_t>& bytes, int64_t alignment) {
  return PlanMemory(LifetimesOf(graph), bytes, alignment);
}

// Largest first, each at the lowest offset free for its whole life: for chains with shortcuts this comes
// within a few percent of the largest set of results that are alive together.
MemoryPlan PlanMemory(const std::vector<Lifetime>& lifetimes, const std::vector<int64_t>& bytes,
                      int64_t alignment) {
  std::vector<int> order(lifetimes.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return bytes[a] > bytes[b]; });

  MemoryPlan plan{std::vector<int64_t>(lifetimes.size(), 0), 0};
  std::vector<int> placed;
  for (int node : order) {
    if (bytes[node] == 0) continue;
    const int64_t size = (bytes[node] + alignment - 1) / alignment * alignment;
    std::vector<std::pair<int64_t, int64_t>> alive;
    for (int other : placed) {
      if (!Overlap(lifetimes[node], lifetimes[other])) continue;
      const int64_t begin = plan.offsets[other];
      alive.emplace_back(begin, begin + (bytes[other] + alignment - 1) / alignment * alignment);
    }
    std::sort(alive.begin(), alive.end());
    plan.offsets[node] = LowestGap(alive, size);
    plan.arena_bytes = std::max(plan.arena_bytes, plan.offsets[node] + size);
    placed.push_back(node);
  }
  return plan;
}

}  // namespace resnet_native
