#include <gtest/gtest.h>

#include <future>

#include "native/backends/cpu/cpu_features.h"
#include "native/backends/cpu/dispatch.h"
#include "test/native/support/code_of.h"
#include "test/native/support/graph_builder.h"
#include "test/native/support/run.h"
#include "test/native/support/small_resnet.h"

// Whole networks through CpuBackend: plans, contexts and what the passes make of the graph.

namespace resnet_native {
namespace {

using testing::AddBlock;
using testing::CodeOf;
using testing::ExpectNear;
using testing::GraphBuilder;
using testing::kSmallResNetNodes;
using testing::OwnedInput;
using testing::RandomInput;
using testing::RunAndWait;
using testing::RunGraph;
using testing::SmallInt8ResNet;
using testing::SmallResNet;

// Rounding errors of a few layers in float32, relative to the largest result: each layer adds at most its K ×
// 2^-24, K ≤ 700, of which sums of random signs reach a hundredth.
constexpr double kTolerance = 2e-5;

void ExpectLikeReference(const Graph& graph, const OwnedInput& input, Layout layout = Layout::kNhwc) {
  const auto expected = RunGraph(ReferenceBackend(), graph, input, {}, layout);
  const auto actual = RunGraph(CpuBackend(), graph, input, {}, layout);
  ASSERT_EQ(expected.size(), actual.size());
  for (size_t i = 0; i < expected.size(); ++i) ExpectNear(expected[i], actual[i], kTolerance);
}

TEST(CpuNetwork, MatchesReferenceOnBytesAndFloats) {
  const Graph graph = SmallResNet();
  ExpectLikeReference(graph, RandomInput({2, 45, 51, 3}, true));
  ExpectLikeReference(graph, RandomInput({3, 64, 32, 3}));
  ExpectLikeReference(graph, RandomInput({1, 39, 39, 3}), Layout::kNchw);
}

TEST(CpuNetwork, EveryNodeCanBeAnOutput) {
  ExpectLikeReference(SmallResNet(kSmallResNetNodes), RandomInput({2, 41, 37, 3}, true));
}

TEST(CpuNetwork, AnOutputMayBeAskedForTwice) {
  ExpectLikeReference(SmallResNet({"pool", "add", "pool"}), RandomInput({1, 33, 33, 3}));
}

TEST(CpuNetwork, TheInputMayBeReadByAnything) {
  GraphBuilder b;
  const NodeId conv = b.Conv("conv", 0, 3, {3, 3, 1, 1, 1, 1, 1, 1});
  const NodeId add = b.Add("add", {conv, 0}, AddOp{});
  const NodeId pool = b.Add("pool", {0}, MaxPool2dOp{{2, 2, 2, 2, 0, 0, 1, 1}});
  const Graph graph = b.Build({add, pool});
  ExpectLikeReference(graph, RandomInput({2, 6, 7, 3}));
  ExpectLikeReference(graph, RandomInput({2, 6, 7, 3}, true));
  ExpectLikeReference(graph, RandomInput({2, 6, 7, 3}), Layout::kNchw);
}

TEST(CpuNetwork, FlattensAnExtentInNchwOrder) {
  GraphBuilder b;
  const NodeId conv = b.Conv("conv", 0, 5, {3, 3, 1, 1, 1, 1, 1, 1});
  const NodeId flat = b.Add("flatten", {conv}, FlattenOp{});
  const NodeId fc = b.Linear("fc", flat, 5 * 4 * 6, 7);
  ExpectLikeReference(b.Build({flat, fc}), RandomInput({2, 4, 6, 3}));
}

TEST(CpuNetwork, TheSameBitsForAnyNumberOfThreadsAndEveryRun) {
  const Graph graph = SmallResNet({"add", "fc"});
  const OwnedInput input = RandomInput({3, 75, 61, 3}, true);
  const auto expected = RunGraph(CpuBackend(), graph, input, {.threads = 1});
  for (int threads : {1, 2, 3, 7}) {
    EXPECT_EQ(expected, RunGraph(CpuBackend(), graph, input, {.threads = threads})) << threads;
  }
}

// 8 bits, a dozen layers: each rounds its weights and its result by up to 2^-8, of which sums of random signs
// reach a fraction.
constexpr double kBfloat16Tolerance = 3e-2;

TEST(CpuNetwork, MatchesReferenceInBfloat16) {
  const Graph graph = SmallResNet({"relu", "maxpool", "layer1.relu_1", "late_bn", "add", "pool", "fc"});
  for (bool bytes : {true, false}) {
    const OwnedInput input = RandomInput({2, 75, 61, 3}, bytes);
    const auto expected = RunGraph(ReferenceBackend(), graph, input);
    const auto actual = RunGraph(CpuBackend(), graph, input, {.dtype = DType::kBfloat16});
    for (size_t i = 0; i < expected.size(); ++i) ExpectNear(expected[i], actual[i], kBfloat16Tolerance);
  }
}

// More images than go through the network at a time.
void ExpectTheSameBitsInALargeBatch(CompileOptions options) {
  constexpr int64_t kImages = 20, kSize = 224;
  const Graph graph = SmallResNet({"add", "fc"});
  const OwnedInput batch = RandomInput({kImages, kSize, kSize, 3}, true);
  options.threads = 2;
  const auto all = RunGraph(CpuBackend(), graph, batch, options);
  options.threads = 1;
  const size_t image = kSize * kSize * 3;
  for (size_t n = 0; n < kImages; ++n) {
    const OwnedInput one{
        {1, kSize, kSize, 3}, {}, {batch.bytes.begin() + n * image, batch.bytes.begin() + (n + 1) * image}};
    const auto alone = RunGraph(CpuBackend(), graph, one, options);
    for (size_t i = 0; i < all.size(); ++i) {
      const size_t size = alone[i].size();
      EXPECT_EQ(alone[i], std::vector<float>(all[i].begin() + n * size, all[i].begin() + (n + 1) * size));
    }
  }
}

// With tile units a batch goes through in segments that fit the caches.
TEST(CpuNetwork, AnImageGetsTheSameBitsInALargeBatchOfBfloat16) {
  ExpectTheSameBitsInALargeBatch({.dtype = DType::kBfloat16});
}

TEST(CpuNetwork, AnImageGetsTheSameBitsInALargeBatchWithLowMemory) {
  ExpectTheSameBitsInALargeBatch({.memory = MemoryMode::kLow});
}

// Asked for, the stem's result is there as a whole; otherwise it is pooled as it is made.
TEST(CpuNetwork, TheSameBitsWhateverIsAskedForBesides) {
  const OwnedInput input = RandomInput({3, 75, 61, 3});
  for (DType dtype : {DType::kFloat32, DType::kBfloat16, DType::kInt8}) {
    const bool int8 = dtype == DType::kInt8;
    const auto run = [&](std::vector<std::string> outputs) {
      const Graph graph = int8 ? SmallInt8ResNet(outputs) : SmallResNet(outputs);
      return RunGraph(CpuBackend(), graph, input, {.dtype = dtype, .threads = 2}).at(0);
    };
    EXPECT_EQ(run({"fc"}), run({"fc", "relu"}));
    EXPECT_EQ(run({"maxpool"}), run({"maxpool", "relu"}));
  }
}

TEST(CpuNetwork, OneContextTakesAllSizesInTurn) {
  const Graph graph = SmallResNet();
  const auto plan = CpuBackend().Compile(graph, {.threads = 2});
  const auto context = plan->NewContext(plan);
  for (int round = 0; round < 3; ++round) {
    for (int64_t n = 1; n <= 4; ++n) {
      for (int64_t size : {33, 64, 47}) {
        const OwnedInput input = RandomInput({n, size, size, 3}, true, static_cast<uint32_t>(n + size));
        std::vector<float> logits(n * 10);
        RunAndWait(*context, {input.Batch(), {logits.data()}});
        EXPECT_EQ(logits, RunGraph(CpuBackend(), graph, input).at(0));
      }
    }
  }
}

TEST(CpuNetwork, ContextsRunSideBySide) {
  const Graph graph = SmallResNet();
  const OwnedInput input = RandomInput({2, 64, 64, 3}, true);
  const auto expected = RunGraph(CpuBackend(), graph, input).at(0);
  const auto plan = CpuBackend().Compile(graph, {.threads = 2});
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      const auto context = plan->NewContext(plan);
      for (int run = 0; run < 5; ++run) {
        std::vector<float> logits(20);
        RunAndWait(*context, {input.Batch(), {logits.data()}});
        EXPECT_EQ(logits, expected);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(CpuNetwork, DescribesAndTimesItsSteps) {
  const auto plan = CpuBackend().Compile(SmallResNet(), {.threads = 2});
  const std::vector<StepInfo> steps = plan->Describe();
  ASSERT_EQ(steps.size(), 11u);  // the input needs none: the stem reads it, and pools what comes of it
  EXPECT_EQ(steps[0].name, "maxpool");
  EXPECT_EQ(steps[0].op, "conv2d");
  EXPECT_EQ(steps[0].kernel.rfind("stem direct ", 0), 0u) << steps[0].kernel;
  const cpu::KernelTable kernels(cpu::FeaturesFor(cpu::SelectIsa()));
  EXPECT_NE(steps[0].kernel.find(kernels[DType::kFloat32].conv->isa), std::string::npos);
  EXPECT_EQ(steps[0].macs, int64_t{112} * 112 * 16 * 147);
  EXPECT_EQ(steps.back().name, "fc");
  EXPECT_EQ(steps.back().macs, 400);

  const OwnedInput input = RandomInput({1, 64, 64, 3});
  std::vector<float> logits(10);
  std::vector<double> step_ms{1, 2, 3};
  const auto context = plan->NewContext(plan);
  RunAndWait(*context, {input.Batch(), {logits.data()}, nullptr, &step_ms});
  ASSERT_EQ(step_ms.size(), steps.size());
  for (double ms : step_ms) EXPECT_GT(ms, 0);
}

TEST(CpuNetwork, APlanMayOnlyNameStepsThatLeaveAChoice) {
  const auto compile = [](const char* step) {
    CpuBackend().Compile(SmallResNet(), {.plan = {{step, "direct"}}});
  };
  compile("layer1.relu_1");
  EXPECT_EQ(CodeOf([&] { compile("fc"); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { compile("layer9"); }), ErrorCode::kInvalidArgument);
}

TEST(CpuNetwork, KeepsNoWeightsBesideThePackedOnes) {
  Graph graph = SmallResNet();
  std::vector<std::weak_ptr<const void>> owners;
  for (const Node& node : graph.nodes) {
    if (const auto* conv = std::get_if<Conv2dOp>(&node.op)) owners.push_back(conv->filters.values.owner());
    if (const auto* linear = std::get_if<LinearOp>(&node.op))
      owners.push_back(linear->filters.values.owner());
  }
  const auto plan = CpuBackend().Compile(std::move(graph), {});
  ASSERT_EQ(owners.size(), 6u);
  for (const auto& owner : owners) EXPECT_TRUE(owner.expired());
}

TEST(CpuNetwork, StopsWhenCancelledAndRunsAgain) {
  const Graph graph = SmallResNet();
  const auto plan = CpuBackend().Compile(graph, {});
  const auto context = plan->NewContext(plan);
  const OwnedInput input = RandomInput({1, 64, 64, 3});
  std::vector<float> logits(10);
  const std::atomic<bool> cancelled{true};
  EXPECT_EQ(CodeOf([&] {
              RunAndWait(*context, {input.Batch(), {logits.data()}, &cancelled});
            }),
            ErrorCode::kAborted);
  RunAndWait(*context, {input.Batch(), {logits.data()}});
  EXPECT_EQ(logits, RunGraph(CpuBackend(), graph, input).at(0));
}

TEST(CpuNetwork, ReportsAnImageThatDoesNotFitAndRunsAgain) {
  const Graph graph = SmallResNet();
  const auto plan = CpuBackend().Compile(graph, {});
  const auto context = plan->NewContext(plan);
  const OwnedInput input = RandomInput({1, 64, 64, 3});
  std::vector<float> logits(10);
  InputBatch huge = input.Batch();
  huge.h = huge.w =
      1 << 19;  // a terabyte of activations, of which nothing is read: there is no memory for them
  EXPECT_EQ(CodeOf([&] { RunAndWait(*context, {huge, {logits.data()}}); }), ErrorCode::kOutOfMemory);
  InputBatch small = input.Batch();
  small.c = 4;
  EXPECT_EQ(CodeOf([&] { RunAndWait(*context, {small, {logits.data()}}); }), ErrorCode::kInvalidShape);
  EXPECT_EQ(CodeOf([&] { RunAndWait(*context, {input.Batch(), {}}); }), ErrorCode::kInvalidArgument);
  RunAndWait(*context, {input.Batch(), {logits.data()}});
  EXPECT_EQ(logits, RunGraph(CpuBackend(), graph, input).at(0));
}

TEST(CpuNetwork, RefusesWhatItDoesNotHave) {
  const auto compile = [](const CompileOptions& options) {
    return CodeOf([&] { CpuBackend().Compile(SmallResNet(), options); });
  };
  EXPECT_EQ(compile({.dtype = DType::kFloat16}), ErrorCode::kUnsupported);
  EXPECT_EQ(compile({.device_index = 1}), ErrorCode::kDeviceUnavailable);
  EXPECT_EQ(compile({.threads = -1}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(compile({.threads = 1 << 20}), ErrorCode::kInvalidArgument);
}

TEST(CpuNetwork, SaysThatItsWeightsFindNoMemory) {
  Graph graph = SmallResNet();
  auto& linear = std::get<LinearOp>(graph.nodes.back().op);
  linear.in_features = 1 << 28;
  linear.out_features = 1 << 12;
  linear.bias = {};
  // Four terabytes, of which nothing is read: there is no memory to pack them in.
  linear.filters.values = WeightSource::InMemory(nullptr, nullptr, DType::kFloat32, size_t{1} << 40);
  try {
    CpuBackend().Compile(std::move(graph), {});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
    EXPECT_STREQ(error.what(),
                 "not enough memory for the packed weights of this network; memory: \"low\" needs least");
  }
}

TEST(CpuNetwork, DoneMayRunAgainOrDestroyTheContext) {
  const Graph graph = SmallResNet();
  const auto plan = CpuBackend().Compile(graph, {.threads = 2});
  const OwnedInput input = RandomInput({1, 33, 33, 3});
  std::vector<float> logits(10);
  const RunRequest request{input.Batch(), {logits.data()}};
  auto context = plan->NewContext(plan);
  std::promise<void> finished;
  context->Run(request, [&](std::exception_ptr) {
    context->Run(request, [&](std::exception_ptr error) {
      context.reset();
      if (error) {
        finished.set_exception(error);
      } else {
        finished.set_value();
      }
    });
  });
  finished.get_future().get();
  EXPECT_EQ(logits, RunGraph(CpuBackend(), graph, input).at(0));
}

}  // namespace
}  // namespace resnet_native
