#include "native/graph/memory_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "test/native/support/graph_builder.h"

namespace resnet_native {
namespace {

using testing::GraphBuilder;

int LastReader(const Graph& graph, int node) {
  int last = node;
  for (int i = node; i < static_cast<int>(graph.nodes.size()); ++i) {
    const auto& inputs = graph.nodes[i].inputs;
    if (std::find(inputs.begin(), inputs.end(), node) != inputs.end()) last = i;
  }
  return last;
}

// No two results that are alive together share a byte, and everything lies in the arena.
void ExpectSound(const Graph& graph, const std::vector<int64_t>& bytes, const MemoryPlan& plan) {
  const int count = static_cast<int>(graph.nodes.size());
  for (int a = 0; a < count; ++a) {
    EXPECT_EQ(plan.offsets[a] % 64, 0);
    EXPECT_LE(plan.offsets[a] + bytes[a], plan.arena_bytes);
    for (int b = a + 1; b < count && b <= LastReader(graph, a); ++b) {
      if (bytes[a] == 0 || bytes[b] == 0) continue;
      const bool apart =
          plan.offsets[a] + bytes[a] <= plan.offsets[b] || plan.offsets[b] + bytes[b] <= plan.offsets[a];
      EXPECT_TRUE(apart) << "nodes " << a << " and " << b << " are alive together and share memory";
    }
  }
}

TEST(PlanMemory, AChainNeedsTwoBuffers) {
  GraphBuilder b;
  NodeId y = 0;
  for (int i = 0; i < 10; ++i) y = b.Add("relu" + std::to_string(i), {y}, ReluOp{});
  const Graph graph = b.Build({y});
  std::vector<int64_t> bytes(graph.nodes.size(), 1000);
  bytes[0] = 0;
  const MemoryPlan plan = PlanMemory(graph, bytes);
  ExpectSound(graph, bytes, plan);
  EXPECT_EQ(plan.arena_bytes, 2 * 1024);
}

TEST(PlanMemory, AShortcutKeepsItsBuffer) {
  GraphBuilder b;
  const NodeId first = b.Add("a", {0}, ReluOp{});
  const NodeId second = b.Add("b", {first}, ReluOp{});
  const NodeId third = b.Add("c", {second}, ReluOp{});
  const Graph graph = b.Build({b.Add("sum", {third, first}, AddOp{})});
  const std::vector<int64_t> bytes = {0, 64, 64, 64, 64};
  const MemoryPlan plan = PlanMemory(graph, bytes);
  ExpectSound(graph, bytes, plan);
  EXPECT_EQ(plan.arena_bytes, 3 * 64);
}

TEST(PlanMemory, RandomGraphsAreSoundAndNearTheLowerBound) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    GraphBuilder b;
    const int count = 2 + static_cast<int>(random() % 30);
    for (int i = 1; i < count; ++i) {
      const NodeId near = std::max(0, i - 1 - static_cast<int>(random() % 4));
      b.Add("n" + std::to_string(i), {i - 1, near}, AddOp{});
    }
    const Graph graph = b.Build({count - 1});
    std::vector<int64_t> bytes(count);
    for (int64_t& size : bytes) size = static_cast<int64_t>(random() % 5000);
    const MemoryPlan plan = PlanMemory(graph, bytes);
    ExpectSound(graph, bytes, plan);

    int64_t all = 0;
    for (int64_t size : bytes) all += (size + 63) / 64 * 64;
    EXPECT_LE(plan.arena_bytes, all);
  }
}

}  // namespace
}  // namespace resnet_native
