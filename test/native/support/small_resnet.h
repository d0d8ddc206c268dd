#pragma once

#include <string>
#include <utility>
#include <vector>

#include "test/native/support/graph_builder.h"

namespace resnet_native::testing {

inline const ChannelAffine kNormalize{{1 / 58.4f, 1 / 57.1f, 1 / 57.4f}, {-2.1f, -2.0f, -1.8f}};

// stem, max pool, three blocks of other kinds, pool, fully connected. `late_norm`: a batch norm behind a
// ReLU, which cannot be folded.
inline Graph SmallResNet(std::vector<std::string> outputs = {"fc"}, bool late_norm = true) {
  GraphBuilder b;
  NodeId x = b.Add("normalize", {0}, NormalizeOp{kNormalize});
  x = b.BatchNorm("bn1", b.Conv("conv1", x, 16, {7, 7, 2, 2, 3, 3, 1, 1}));
  x = b.Add("relu", {x}, ReluOp{});
  x = b.Add("maxpool", {x}, MaxPool2dOp{{3, 3, 2, 2, 1, 1, 1, 1}});
  x = AddBlock(b, "layer1", x, 24);
  const NodeId shortcut = b.Add("shortcut", {x}, ZeroPadShortcutOp{2, 40}, 40);
  NodeId y = b.Conv("grouped", x, 40, {3, 3, 2, 2, 1, 1, 1, 1}, 4, true);
  y = b.Add("early_relu", {y}, ReluOp{});
  if (late_norm) y = b.BatchNorm("late_bn", y);
  x = b.Add("add", {y, shortcut}, AddOp{});
  x = b.Add("pool", {x}, GlobalAvgPoolOp{});
  x = b.Add("flatten", {x}, FlattenOp{});
  b.Linear("fc", x, 40, 10);
  return b.BuildNamed(outputs);
}

// Of its nodes, those that each step of it computes.
inline const std::vector<std::string> kSmallResNetNodes{
    "x",          "normalize", "conv1", "bn1",  "relu",    "maxpool", "layer1.relu_1", "shortcut", "grouped",
    "early_relu", "late_bn",   "add",   "pool", "flatten", "fc"};

// Every node gets a scale, under which some of its values are clamped.
inline Graph Calibrated(Graph graph, float scale = 0.02f) {
  MakeFiltersInt8(graph);
  for (Node& node : graph.nodes) {
    node.scale = scale;
    scale = scale > 0.03f ? 0.011f : scale * 1.21f;
  }
  return graph;
}

// That network in int8, of layers that all have an int8 form.
inline Graph SmallInt8ResNet(std::vector<std::string> outputs = {"fc"}) {
  Graph graph = Calibrated(SmallResNet(std::move(outputs), false));
  graph.nodes[0].scale = graph.nodes[1].scale;  // what is normalised is calibrated under both names
  return graph;
}

}  // namespace resnet_native::testing
