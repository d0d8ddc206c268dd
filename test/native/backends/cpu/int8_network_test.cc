#include <gtest/gtest.h>

#include "native/backends/cpu/dispatch.h"
#include "native/backends/cpu/plan.h"
#include "native/graph/passes/passes.h"
#include "test/native/support/graph_builder.h"
#include "test/native/support/run.h"
#include "test/native/support/small_resnet.h"
#include "test/native/support/square.h"

// int8 on every row of kernels gives the bits of the reference: integer sums are exact, and what follows them
// is a fixed sequence of IEEE operations.

namespace resnet_native {
namespace {

using testing::Calibrated;
using testing::GraphBuilder;
using testing::OwnedInput;
using testing::RandomInput;
using testing::RunAndWait;
using testing::SmallInt8ResNet;
using testing::Square;

struct Row {
  std::string name;
  cpu::Features features;
};

class Int8Network : public ::testing::TestWithParam<Row> {
 protected:
  void SetUp() override {
    if (GetParam().features & ~cpu::MachineFeatures()) {
      GTEST_SKIP() << "this CPU or build lacks " << GetParam().name;
    }
  }

  // Runs on the row with 1 and 3 threads, and on the reference.
  void ExpectSameBits(const Graph& graph, const OwnedInput& input, Layout layout = Layout::kNhwc) {
    CompileOptions options;
    options.dtype = DType::kInt8;
    const auto expected = testing::RunGraph(ReferenceBackend(), graph, input, options, layout);
    for (int threads : {1, 3}) {
      const auto plan = std::make_shared<cpu::CpuPlan>(
          FuseMaxPool(Quantize(Optimize(graph))), cpu::KernelTable(GetParam().features), threads, options);
      const auto actual = Run(plan, input, layout);
      ASSERT_EQ(actual.size(), expected.size());
      for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(actual[i], expected[i]) << "output " << i << " with " << threads << " threads";
      }
    }
  }

 private:
  static std::vector<std::vector<float>> Run(const std::shared_ptr<const Plan>& plan, const OwnedInput& input,
                                             Layout layout) {
    const auto shapes = InferShapes(plan->graph(), input.shape.n, input.shape.h, input.shape.w);
    std::vector<std::vector<float>> outputs;
    for (NodeId id : plan->graph().outputs) outputs.emplace_back(shapes[id].elements());
    RunRequest request;
    request.input = input.Batch(layout);
    for (auto& output : outputs) request.outputs.push_back(output.data());
    RunAndWait(*plan->NewContext(plan), request);
    return outputs;
  }
};

INSTANTIATE_TEST_SUITE_P(
    , Int8Network,
    ::testing::Values(Row{"scalar", 0}, Row{"neon", cpu::kNeon},
                      Row{"neondotprod", cpu::kNeon | cpu::kNeonDotProduct},
                      Row{"neoni8mm", cpu::kNeon | cpu::kNeonI8mm}, Row{"avx2", cpu::kAvx2Fma},
                      Row{"avxvnni", cpu::kAvx2Fma | cpu::kAvxVnni},
                      Row{"avx512vnni", cpu::kAvx2Fma | cpu::kAvx512 | cpu::kAvx512Vnni},
                      Row{"amx", cpu::kAvx2Fma | cpu::kAvx512 | cpu::kAvx512Vnni | cpu::kAmxInt8}),
    [](const auto& info) { return info.param.name; });

struct ConvCase {
  int64_t n, h, w;
  int in, out;
  Window window;
  int groups = 1;
};

// A convolution of every form between two others, with a residual and a ReLU.
Graph ConvGraph(const ConvCase& conv, bool residual) {
  GraphBuilder b(5);
  const NodeId x = b.Add("relu0", {b.Conv("first", 0, conv.in)}, ReluOp{});
  NodeId y = b.Conv("conv", x, conv.out, conv.window, conv.groups, true);
  if (residual) {
    const Window pointwise{1, 1, conv.window.stride_h, conv.window.stride_w};
    y = b.Add("add", {y, b.Conv("other", x, conv.out, pointwise)}, AddOp{});
  }
  y = b.Add("relu1", {y}, ReluOp{});
  return Calibrated(b.Build({b.Conv("last", y, 3), y}));
}

TEST_P(Int8Network, ConvolutionsOfAwkwardShapes) {
  const std::vector<ConvCase> cases = {
      {1, 1, 1, 1, 1, Square(1)},
      {1, 5, 7, 3, 10, Square(3, 1, 1)},
      {2, 9, 9, 64, 64, Square(1)},
      {2, 9, 5, 64, 70, Square(3, 1, 1)},
      {1, 8, 8, 128, 130, Square(1)},
      {1, 11, 13, 20, 33, Square(3, 2, 1)},
      {3, 6, 6, 65, 129, Square(1, 2)},
      {1, 12, 12, 7, 17, Square(5, 3, 2, 2)},
      {1, 7, 7, 192, 64, Square(3, 1, 1)},
      // More weights than pixels, and more than half of a second-level cache of 2 MB.
      {4, 3, 3, 256, 320, Square(3, 1, 1)},
      {2, 2, 2, 512, 256, Square(3, 1, 1)}};
  for (const ConvCase& conv : cases) {
    SCOPED_TRACE(std::to_string(conv.in) + "->" + std::to_string(conv.out));
    const bool same_size = conv.window.pad_h * 2 == conv.window.kernel_h - 1 && conv.window.dilation_h == 1;
    ExpectSameBits(ConvGraph(conv, same_size), RandomInput({conv.n, conv.h, conv.w, 5}));
  }
}

TEST_P(Int8Network, GroupedConvolutions) {
  for (const auto& [channels, groups] : std::vector<std::pair<int, int>>{
           {128, 32}, {40, 10}, {24, 24}, {64, 8}, {48, 3}, {128, 4}, {60, 3}, {96, 2}, {8, 4}, {16, 4}}) {
    SCOPED_TRACE(std::to_string(channels) + " in " + std::to_string(groups));
    ExpectSameBits(ConvGraph({2, 7, 6, channels, channels, Square(3, 1, 1), groups}, true),
                   RandomInput({2, 7, 6, 5}));
    ExpectSameBits(ConvGraph({1, 7, 6, channels, channels, Square(3, 2, 1), groups}, false),
                   RandomInput({1, 7, 6, 5}));
  }
  ExpectSameBits(ConvGraph({1, 7, 6, 32, 64, Square(3, 1, 1), 8}, false), RandomInput({1, 7, 6, 5}));
}

TEST_P(Int8Network, WholeNetworks) {
  const Graph graph = SmallInt8ResNet({"fc"});
  ExpectSameBits(graph, RandomInput({2, 45, 51, 3}, true));
  ExpectSameBits(graph, RandomInput({3, 64, 32, 3}));
  ExpectSameBits(graph, RandomInput({1, 39, 39, 3}), Layout::kNchw);
}

// Such an image is no error in int8, and the same on every row.
TEST_P(Int8Network, NaNAndInfinityInTheInput) {
  OwnedInput input = RandomInput({1, 45, 51, 3});
  input.floats[7] = std::numeric_limits<float>::quiet_NaN();
  input.floats[100] = std::numeric_limits<float>::infinity();
  input.floats[101] = -std::numeric_limits<float>::infinity();
  input.floats[102] = 3e38f;
  ExpectSameBits(SmallInt8ResNet({"fc"}), input);
}

TEST_P(Int8Network, EveryCalibratedNodeCanBeAnOutput) {
  ExpectSameBits(SmallInt8ResNet({"relu", "maxpool", "layer1.relu_1", "shortcut", "early_relu", "add", "pool",
                                  "flatten", "fc"}),
                 RandomInput({2, 41, 37, 3}, true));
}

// They are the epilogue of no convolution.
TEST_P(Int8Network, AdditionsAndReLUsOfTheirOwn) {
  GraphBuilder b;
  const NodeId conv = b.Conv("conv", 0, 40, Square(3, 1, 1));
  const NodeId pool = b.Add("pool", {conv}, MaxPool2dOp{Square(3, 2, 1)});
  const NodeId relu = b.Add("relu", {pool}, ReluOp{});
  const NodeId add = b.Add("add", {pool, relu}, AddOp{});
  const NodeId last = b.Conv("last", b.Add("relu2", {add}, ReluOp{}), 3);
  ExpectSameBits(Calibrated(b.Build({last, relu, add})), RandomInput({2, 11, 9, 3}));
}

// Channels that fill no vector, one and a part of it, and several.
TEST_P(Int8Network, MaxPoolOfAnyChannels) {
  for (const int channels : {1, 15, 37, 70, 128, 200}) {
    SCOPED_TRACE(channels);
    GraphBuilder b(4);
    const NodeId x = b.Add("relu", {b.Conv("conv", 0, channels, Square(1))}, ReluOp{});
    const NodeId pool = b.Add("pool", {x}, MaxPool2dOp{Square(3, 2, 1)});
    const Graph graph = Calibrated(b.Build({b.Conv("last", pool, 3), pool}));
    ExpectSameBits(graph, RandomInput({2, 9, 8, 4}), Layout::kNchw);
  }
}

// The reference computes them one after the other.
TEST_P(Int8Network, MaxPoolBehindTheConvolutionThatReadsTheInput) {
  const std::vector<std::pair<Window, Window>> windows = {{Square(7, 2, 3), Square(3, 2, 1)},
                                                          {Square(3, 1, 1), Square(2, 2)},
                                                          {Square(1), Square(3, 1, 1)},
                                                          {Square(3, 1, 1), Square(2, 3)},
                                                          {Square(3, 2, 1), Square(3, 2, 1, 2)}};
  for (const auto& [window, pooling] : windows) {
    for (const int channels : {3, 64}) {
      for (const bool stays_float : {false, true}) {
        GraphBuilder b(channels);
        const NodeId x = b.Add("relu", {b.Conv("conv", 0, 70, window)}, ReluOp{});
        const NodeId pool = b.Add("pool", {x}, MaxPool2dOp{pooling});
        const NodeId last = stays_float ? pool : b.Conv("last", pool, 3);
        ExpectSameBits(Calibrated(b.Build({last})), RandomInput({2, 45, 37, channels}));
      }
    }
  }
}

// What is flattened while it has an extent, and a value that nothing is added to.
TEST_P(Int8Network, HeadsWithoutAPool) {
  GraphBuilder b;
  NodeId x = b.Add("relu", {b.Conv("conv", 0, 6, Square(3, 1, 1))}, ReluOp{});
  x = b.Add("flatten", {x}, FlattenOp{});
  ExpectSameBits(Calibrated(b.Build({b.Linear("fc", x, 6 * 20, 7)})), RandomInput({3, 4, 5, 3}));
}

// The largest sums that there can be, and those of bytes that are all 0: nothing saturates on the way.
TEST_P(Int8Network, ExtremeValues) {
  for (const auto& [weight, value] :
       {std::pair{1.0f, 100.0f}, {-1.0f, 100.0f}, {1.0f, -100.0f}, {-1.0f, -100.0f}}) {
    GraphBuilder b(64);
    Conv2dOp op;
    op.in_channels = op.out_channels = 64;
    op.window = Square(3, 1, 1);
    op.filters.values = Weight::Own(std::vector<float>(64 * 64 * 9, weight));
    Graph graph = b.Build({b.Add("conv", {0}, op)});
    testing::MakeFiltersInt8(graph);
    graph.nodes[0].scale = 0.5f / 127;
    OwnedInput input{{1, 5, 5, 64}, std::vector<float>(5 * 5 * 64, value), {}};
    ExpectSameBits(graph, input);
  }
}

}  // namespace
}  // namespace resnet_native
