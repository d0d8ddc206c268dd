#include <gtest/gtest.h>

#include "native/backends/cuda/backend.h"
#include "native/half.h"
#include "test/native/support/graph_builder.h"
#include "test/native/support/run.h"
#include "test/native/support/simulated_device.h"
#include "test/native/support/small_resnet.h"

// Whole networks through the CUDA backend on a simulated device, which checks every address.

namespace resnet_native {
namespace {

using testing::Behaviour;
using testing::ExpectNear;
using testing::GraphBuilder;
using testing::kSmallResNetNodes;
using testing::OwnedInput;
using testing::RandomInput;
using testing::RunGraph;
using testing::SimulatedSource;
using testing::SmallInt8ResNet;
using testing::SmallResNet;

// Of float32: see CpuNetwork. Half types round each of about ten results and all weights once more, by at
// most 2^-11 or 2^-8 of the largest; the roundings of one sum have random signs.
double Tolerance(DType dtype) {
  if (dtype == DType::kFloat16) return 10 * 0x1p-11;
  if (dtype == DType::kBfloat16) return 10 * 0x1p-8;
  return 2e-5;
}

void ExpectLikeReference(const Graph& graph, const OwnedInput& input, DType dtype = DType::kFloat32,
                         Layout layout = Layout::kNhwc) {
  cuda::CudaBackend backend(std::make_unique<SimulatedSource>(std::make_shared<Behaviour>()));
  const CompileOptions options{.dtype = dtype, .max_batch = 4, .height = 32, .width = 32};
  const auto expected = RunGraph(ReferenceBackend(), graph, input, {}, layout);
  const auto actual = RunGraph(backend, graph, input, options, layout);
  ASSERT_EQ(expected.size(), actual.size());
  for (size_t i = 0; i < expected.size(); ++i) ExpectNear(expected[i], actual[i], Tolerance(dtype));
}

TEST(CudaNetwork, MatchesReferenceOnBytesAndFloats) {
  const Graph graph = SmallResNet();
  ExpectLikeReference(graph, RandomInput({2, 45, 51, 3}, true));
  ExpectLikeReference(graph, RandomInput({3, 64, 32, 3}));
  ExpectLikeReference(graph, RandomInput({1, 39, 39, 3}), DType::kFloat32, Layout::kNchw);
}

TEST(CudaNetwork, MatchesReferenceInEveryDType) {
  for (const DType dtype : {DType::kTf32, DType::kFloat16, DType::kBfloat16}) {
    ExpectLikeReference(SmallResNet({"layer1.relu_1", "fc"}), RandomInput({3, 33, 47, 3}, true), dtype);
  }
}

TEST(CudaNetwork, EveryNodeCanBeAnOutput) {
  ExpectLikeReference(SmallResNet(kSmallResNetNodes), RandomInput({2, 41, 37, 3}, true));
}

TEST(CudaNetwork, AnOutputMayBeAskedForTwice) {
  ExpectLikeReference(SmallResNet({"pool", "add", "pool"}), RandomInput({1, 33, 33, 3}));
}

TEST(CudaNetwork, TheInputMayBeReadByAnything) {
  GraphBuilder b;
  const NodeId conv = b.Conv("conv", 0, 3, {3, 3, 1, 1, 1, 1, 1, 1});
  const NodeId add = b.Add("add", {conv, 0}, AddOp{});
  ExpectLikeReference(b.Build({add}), RandomInput({2, 9, 7, 3}, true));
}

TEST(CudaNetwork, ImagesOfAnyNumberOfChannels) {
  for (const int channels : {1, 2, 4, 5, 8, 11}) {
    GraphBuilder b(channels);
    const NodeId conv = b.Conv("conv", 0, 6, {3, 3, 2, 2, 1, 1, 1, 1}, 1, true);
    ExpectLikeReference(b.Build({conv}), RandomInput({3, 10, 8, channels}));
  }
}

TEST(CudaNetwork, FlattenKeepsTorchsOrder) {
  GraphBuilder b;
  NodeId x = b.Conv("conv", 0, 5, {3, 3, 2, 2, 1, 1, 1, 1});
  x = b.Add("flatten", {x}, FlattenOp{}, 5 * 4 * 3);
  x = b.Linear("fc", x, 5 * 4 * 3, 7);
  ExpectLikeReference(b.Build({x}), RandomInput({2, 8, 6, 3}));
}

// int8 is exact, so that the simulated device gives the very bits of the reference.
void ExpectBitsOfReference(const Graph& graph, const OwnedInput& input, Layout layout = Layout::kNhwc) {
  cuda::CudaBackend backend(std::make_unique<SimulatedSource>(std::make_shared<Behaviour>()));
  const CompileOptions options{.dtype = DType::kInt8, .max_batch = 4, .height = 32, .width = 32};
  EXPECT_EQ(RunGraph(ReferenceBackend(), graph, input, options, layout),
            RunGraph(backend, graph, input, options, layout));
}

TEST(CudaNetwork, Int8GivesTheBitsOfTheReference) {
  const Graph graph = SmallInt8ResNet();
  ExpectBitsOfReference(graph, RandomInput({2, 45, 51, 3}, true));
  ExpectBitsOfReference(graph, RandomInput({3, 64, 32, 3}));
  ExpectBitsOfReference(graph, RandomInput({1, 39, 39, 3}), Layout::kNchw);
}

TEST(CudaNetwork, EveryInt8NodeCanBeAnOutput) {
  ExpectBitsOfReference(SmallInt8ResNet({"x", "relu", "maxpool", "layer1.relu_1", "shortcut", "early_relu",
                                         "add", "pool", "flatten", "fc"}),
                        RandomInput({2, 41, 37, 3}, true));
}

// Layers whose filters or inputs have no int8 form stay in float32, with conversions at the seams.
TEST(CudaNetwork, Int8LeavesLayersInFloat32) {
  for (const char* name : {"conv1", "layer1.conv2", "grouped", "fc"}) {
    SCOPED_TRACE(name);
    Graph graph = SmallInt8ResNet();
    for (Node& node : graph.nodes) {
      if (node.name != name) continue;
      if (auto* conv = std::get_if<Conv2dOp>(&node.op)) conv->filters.int8 = false;
      if (auto* linear = std::get_if<LinearOp>(&node.op)) linear->filters.int8 = false;
    }
    cuda::CudaBackend backend(std::make_unique<SimulatedSource>(std::make_shared<Behaviour>()));
    const CompileOptions options{.dtype = DType::kInt8, .max_batch = 4};
    const OwnedInput input = RandomInput({2, 41, 37, 3}, true);
    const auto expected = RunGraph(ReferenceBackend(), graph, input, options);
    const auto actual = RunGraph(backend, graph, input, options);
    // A sum of floats in another order may make a byte of a value another one, which is half a percent of
    // the largest.
    ExpectNear(expected[0], actual[0], 0.02);
  }
}

// What a library adds up is what is stored; a byte then may be off by 1, and half a percent of the largest.
TEST(CudaNetwork, Int8ThroughALibraryIsClose) {
  const auto behaviour = std::make_shared<Behaviour>();
  behaviour->costs["split"] = 0.5;
  cuda::CudaBackend backend(std::make_unique<SimulatedSource>(behaviour));
  const Graph graph = SmallInt8ResNet({"relu", "layer1.relu_1", "fc"});
  const CompileOptions options{.dtype = DType::kInt8, .max_batch = 4};
  for (const bool bytes : {true, false}) {
    const OwnedInput input = RandomInput({2, 45, 51, 3}, bytes);
    const auto expected = RunGraph(ReferenceBackend(), graph, input, options);
    const auto actual = RunGraph(backend, graph, input, options);
    for (size_t i = 0; i < expected.size(); ++i) ExpectNear(expected[i], actual[i], 0.02);
  }
}

TEST(CudaNetwork, Int8WithoutScalesIsRefused) {
  cuda::CudaBackend backend(std::make_unique<SimulatedSource>(std::make_shared<Behaviour>()));
  EXPECT_THROW(backend.Compile(SmallResNet(), {.dtype = DType::kInt8}), Error);
}

TEST(Half, EveryValueSurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float half = FromFloat16(static_cast<uint16_t>(bits));
    const float brain = FromBfloat16(static_cast<uint16_t>(bits));
    if (std::isnan(half)) {
      EXPECT_TRUE(std::isnan(FromFloat16(ToFloat16(half)))) << bits;
    } else {
      EXPECT_EQ(ToFloat16(half), bits);
    }
    if (std::isnan(brain)) {
      EXPECT_TRUE(std::isnan(FromBfloat16(ToBfloat16(brain)))) << bits;
    } else {
      EXPECT_EQ(ToBfloat16(brain), bits);
    }
  }
}

TEST(Half, RoundsToTheNearestAndTiesToEven) {
  // Between two neighbours that are a step apart: below, at and above the middle.
  for (const float x : {1.0f, 1.0f + 0x1p-10f, 0x1p-14f, 0x1p-24f, 3 * 0x1p-24f, 65472.0f, 0x1p-15f}) {
    const uint16_t low = ToFloat16(x);
    const float middle = (x + FromFloat16(low + 1)) / 2;
    EXPECT_EQ(ToFloat16(std::nextafter(middle, 0.0f)), low) << x;
    EXPECT_EQ(ToFloat16(middle), low + (low & 1)) << x;
    EXPECT_EQ(ToFloat16(std::nextafter(middle, 1e9f)), low + 1) << x;
  }
  EXPECT_EQ(ToFloat16(65519.996f), 0x7bff);
  EXPECT_EQ(ToFloat16(65520.0f), 0x7c00);
  EXPECT_EQ(ToFloat16(-1e9f), 0xfc00);
  EXPECT_EQ(ToFloat16(0x1p-25f), 0);
  EXPECT_EQ(ToBfloat16(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(ToBfloat16(1.0f + 3 * 0x1p-8f), 0x3f82);
  EXPECT_EQ(ToBfloat16(3.4e38f), 0x7f80);
}

}  // namespace
}  // namespace resnet_native
