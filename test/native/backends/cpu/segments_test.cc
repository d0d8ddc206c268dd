#include "native/backends/cpu/segments.h"

#include <gtest/gtest.h>

#include "test/native/support/graph_builder.h"

namespace resnet_native::cpu {
namespace {

using resnet_native::testing::GraphBuilder;

// x → a → b → c → d, and a is added to d.
Graph ChainWithShortcut() {
  GraphBuilder b;
  const NodeId a = b.Add("a", {0}, ReluOp{});
  NodeId y = a;
  for (const char* name : {"b", "c", "d"}) y = b.Add(name, {y}, ReluOp{});
  return b.Build({b.Add("add", {y, a}, AddOp{})});
}

TEST(Segments, TakeAsManyImagesAsFit) {
  // Per image: b reads and writes 200, all after it 110, 20 and 20 + 100.
  const std::vector<int64_t> bytes = {0, 800, 800, 80, 80, 80};
  const auto segments = MakeSegments(ChainWithShortcut(), bytes, 8, 250);
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_EQ(segments[0].first, 0);
  EXPECT_EQ(segments[0].images, 1);
  EXPECT_EQ(segments[1].first, 3);
  EXPECT_EQ(segments[1].images, 2);
  EXPECT_EQ(segments[1].last, 6);
}

TEST(Segments, TakeTheWholeBatchWhereItFitsAndOneImageWhereNoneDoes) {
  const std::vector<int64_t> bytes = {0, 800, 800, 800, 800, 800};
  const auto whole = MakeSegments(ChainWithShortcut(), bytes, 8, 1 << 20);
  ASSERT_EQ(whole.size(), 1u);
  EXPECT_EQ(whole[0].images, 8);
  const auto single = MakeSegments(ChainWithShortcut(), bytes, 8, 10);
  ASSERT_EQ(single.size(), 1u);
  EXPECT_EQ(single[0].images, 1);
}

TEST(Segments, WhatCrossesLivesAsLongAsTheSegmentsRun) {
  const Graph graph = ChainWithShortcut();
  const std::vector<Segment> segments = {{0, 3, 1}, {3, 6, 2}};
  // a is read by b beside it and by the addition; b by c in the other segment.
  EXPECT_EQ(CrossingResults(graph, segments), (std::vector<bool>{false, true, true, false, false, false}));
  const std::vector<Lifetime> lifetimes = LifetimesIn(graph, segments);
  for (NodeId crossing : {1, 2}) {
    EXPECT_EQ(lifetimes[crossing].first, 0);
    EXPECT_EQ(lifetimes[crossing].last, 5);
  }
  EXPECT_EQ(lifetimes[3].first, 3);
  EXPECT_EQ(lifetimes[3].last, 4);
}

TEST(Segments, RunTheWholeNetworkInAsFewEqualTurnsAsTheArenaAllows) {
  // Per image: a lives to the end beside two others of 100 bytes, two cache lines each: the arena takes 384.
  // Five would fit where eight go in two turns of four.
  const std::vector<int64_t> bytes = {0, 800, 800, 800, 800, 800};
  const Graph graph = ChainWithShortcut();
  for (const auto& [arena, images] :
       {std::pair{100, 1}, {767, 1}, {768, 2}, {1152, 3}, {1920, 4}, {100000, 8}}) {
    const auto segments = WholeNetworkWithin(graph, bytes, 8, arena);
    ASSERT_EQ(segments.size(), 1u);
    EXPECT_EQ(segments[0].first, 0);
    EXPECT_EQ(segments[0].last, 6);
    EXPECT_EQ(segments[0].images, images) << arena;
  }
}

}  // namespace
}  // namespace resnet_native::cpu
