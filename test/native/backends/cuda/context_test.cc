#include "native/backends/cuda/context.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "native/backends/cuda/backend.h"
#include "native/session.h"
#include "test/native/support/code_of.h"
#include "test/native/support/run.h"
#include "test/native/support/simulated_device.h"
#include "test/native/support/small_resnet.h"

// Runs, contexts and what goes wrong with them, on a simulated device.

namespace resnet_native {
namespace {

using testing::Behaviour;
using testing::CodeOf;
using testing::OwnedInput;
using testing::RandomInput;
using testing::SimulatedSource;
using testing::SmallResNet;

// A backend with one or more simulated devices, and sessions on it.
struct Rig {
  explicit Rig(int devices = 1) : backend(std::make_unique<SimulatedSource>(behaviour, devices)) {}

  std::shared_ptr<const Plan> Compile(int max_batch = 4, uint64_t budget = 0, int index = 0) {
    return backend.Compile(
        SmallResNet(),
        {.device_index = index, .max_batch = max_batch, .height = 16, .width = 16, .memory_budget = budget});
  }

  const std::shared_ptr<Behaviour> behaviour = std::make_shared<Behaviour>();
  cuda::CudaBackend backend;
};

// One run with memory of its own, and how it ended.
class Submitted {
 public:
  Submitted(Session& session, const OwnedInput& input) : logits_(input.shape.n * 10) {
    const RunRequest request{input.Batch(), {logits_.data()}};
    id_ = session.Submit(request, [this](std::exception_ptr error) { ended_.set_value(error); });
  }

  // Throws what the run ended with.
  const std::vector<float>& Logits() {
    if (const std::exception_ptr error = future_.get()) std::rethrow_exception(error);
    return logits_;
  }
  // kInternal for success: nothing else ends with that.
  ErrorCode Code() {
    try {
      Logits();
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  }
  Session::RunId id() const { return id_; }

 private:
  std::vector<float> logits_;
  Session::RunId id_;
  std::promise<std::exception_ptr> ended_;
  std::shared_future<std::exception_ptr> future_ = ended_.get_future().share();
};

const OwnedInput& Images(int64_t n) {
  static std::map<int64_t, OwnedInput> made;
  const auto found = made.find(n);
  if (found != made.end()) return found->second;
  return made.emplace(n, RandomInput({n, 16, 16, 3}, true, static_cast<uint32_t>(n))).first->second;
}

TEST(CudaContext, EightAtOnceGiveWhatOneGives) {
  Rig rig;
  const auto plan = rig.Compile();
  std::vector<std::vector<float>> expected;
  {
    const auto alone = Session::Create({plan}, {.contexts = 1});
    for (int64_t n = 1; n <= 4; ++n) expected.push_back(Submitted(*alone, Images(n)).Logits());
  }
  const auto session = Session::Create({plan}, {.contexts = 8});
  std::vector<std::unique_ptr<Submitted>> runs;
  for (int i = 0; i < 100; ++i) runs.push_back(std::make_unique<Submitted>(*session, Images(1 + i % 4)));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(runs[i]->Logits(), expected[i % 4]) << i;
}

TEST(CudaContext, TwoComputeAtTheSameTime) {
  Rig rig;
  const auto session = Session::Create({rig.Compile()}, {});
  rig.behaviour->launch_microseconds = 2000;
  Submitted first(*session, Images(4)), second(*session, Images(4));
  EXPECT_EQ(first.Logits(), second.Logits());
  EXPECT_EQ(rig.behaviour->most_streams_busy, 2);
}

TEST(CudaContext, ReplaysACaptureFromTheSecondRunOfASizeOn) {
  Rig rig;
  const auto session = Session::Create({rig.Compile()}, {.contexts = 1});
  const std::vector<float> expected = Submitted(*session, Images(3)).Logits();
  EXPECT_EQ(rig.behaviour->replays, 0);
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(Submitted(*session, Images(3)).Logits(), expected);
    EXPECT_EQ(rig.behaviour->replays, i);
  }
  // Larger images take new memory: captures of the old are made anew.
  const OwnedInput large = RandomInput({4, 40, 40, 3}, true);
  Submitted(*session, large).Logits();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Submitted(*session, Images(3)).Logits(), expected);
  EXPECT_EQ(rig.behaviour->replays, 4);
}

TEST(CudaContext, RowsDoNotReadEachOther) {
  Rig rig;
  const auto session = Session::Create({rig.Compile()}, {.contexts = 1});
  const std::vector<float> all = Submitted(*session, Images(4)).Logits();
  OwnedInput three = Images(4);
  three.shape.n = 3;
  three.bytes.resize(three.shape.elements());
  EXPECT_EQ(Submitted(*session, three).Logits(), std::vector<float>(all.begin(), all.begin() + 30));
}

TEST(CudaContext, ProfilesEachStepOfThePlan) {
  Rig rig;
  const auto plan = rig.Compile();
  const auto session = Session::Create({plan}, {.contexts = 1});
  std::vector<float> logits(20);
  std::vector<double> step_ms;
  RunRequest request{Images(2).Batch(), {logits.data()}};
  request.step_ms = &step_ms;
  std::promise<std::exception_ptr> ended;
  session->Submit(request, [&](std::exception_ptr error) { ended.set_value(error); });
  EXPECT_EQ(ended.get_future().get(), nullptr);
  const std::vector<StepInfo> steps = plan->Describe();
  ASSERT_EQ(step_ms.size(), steps.size());
  for (const double ms : step_ms) EXPECT_GE(ms, 1);  // each launch costs 1 on the simulated clock
  EXPECT_EQ(steps.front().op, "normalize");
  EXPECT_EQ(steps[1].kernel, "fused");
  EXPECT_EQ(steps[1].macs, 8 * 8 * 16 * 49 * 4);  // of the padded channels
}

TEST(CudaContext, CompileSaysHowMuchMemoryIsMissing) {
  Rig rig;
  EXPECT_EQ(CodeOf([&] { rig.Compile(4, 1000); }), ErrorCode::kOutOfMemory);
  rig.behaviour->memory_bytes = 2000;
  try {
    rig.Compile();
    FAIL() << "compiled without memory";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
    EXPECT_NE(std::string(error.what()).find("2000 bytes are free on Simulated GPU"), std::string::npos)
        << error.what();
  }
  rig.behaviour->memory_bytes = 1 << 30;
  EXPECT_NE(rig.Compile(), nullptr);
}

TEST(CudaContext, SessionsThatDoNotFitAreRefusedAndLeaveNothing) {
  Rig rig;
  const auto plan = rig.Compile();
  const int64_t used = rig.behaviour->used_bytes;
  rig.behaviour->memory_bytes = used + (1 << 20);
  EXPECT_EQ(CodeOf([&] { Session::Create({plan}, {.contexts = 64}); }), ErrorCode::kOutOfMemory);
  EXPECT_EQ(rig.behaviour->used_bytes, used);
  const auto session = Session::Create({plan}, {.contexts = 1});
  EXPECT_EQ(Submitted(*session, Images(1)).Code(), ErrorCode::kInternal);
}

TEST(CudaContext, ARunThatDoesNotFitFailsAloneAndTheSessionLives) {
  Rig rig;
  const auto session = Session::Create({rig.Compile()}, {.contexts = 2});
  const std::vector<float> expected = Submitted(*session, Images(2)).Logits();
  rig.behaviour->memory_bytes = rig.behaviour->used_bytes + (1 << 20);
  const OwnedInput huge = RandomInput({4, 400, 400, 3}, true);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Submitted(*session, huge).Code(), ErrorCode::kOutOfMemory);
    EXPECT_EQ(Submitted(*session, Images(2)).Logits(), expected);
  }
}

TEST(CudaContext, ARunWhoseCaptureFailsLaunchesKernelByKernel) {
  Rig rig;
  const auto session = Session::Create({rig.Compile()}, {.contexts = 1});
  const std::vector<float> expected = Submitted(*session, Images(2)).Logits();
  rig.behaviour->fails_to_capture = true;
  EXPECT_EQ(Submitted(*session, Images(2)).Logits(), expected);
  EXPECT_EQ(rig.behaviour->replays, 0);
  rig.behaviour->fails_to_capture = false;
  EXPECT_EQ(Submitted(*session, Images(2)).Logits(), expected);
  EXPECT_EQ(rig.behaviour->replays, 1);
}

TEST(CudaContext, WhatCannotBeCapturedIsNotTriedForEver) {
  Rig rig;
  const auto session = Session::Create({rig.Compile()}, {.contexts = 1});
  rig.behaviour->fails_to_capture = true;
  for (int i = 0; i < 4; ++i) Submitted(*session, Images(2)).Logits();
  rig.behaviour->fails_to_capture = false;
  Submitted(*session, Images(2)).Logits();
  EXPECT_EQ(rig.behaviour->replays, 0);
  Submitted(*session, Images(1)).Logits();  // another bucket
  Submitted(*session, Images(1)).Logits();
  EXPECT_EQ(rig.behaviour->replays, 1);
}

TEST(CudaContext, ALostDeviceEndsEverySessionAndEveryLaterCompile) {
  Rig rig(2);
  const auto plan = rig.Compile();
  const auto session = Session::Create({plan}, {.contexts = 2});
  const auto other = Session::Create({rig.Compile(4, 0, 1)}, {.contexts = 1});
  rig.behaviour->launch_microseconds = 500;
  rig.behaviour->launches_left = 30;
  std::vector<std::unique_ptr<Submitted>> runs;
  for (int i = 0; i < 20; ++i) runs.push_back(std::make_unique<Submitted>(*session, Images(4)));
  int lost = 0;
  for (const auto& run : runs) lost += run->Code() == ErrorCode::kDeviceLost;
  EXPECT_GE(lost, 17);  // at least all but the few that 30 launches are enough for
  EXPECT_EQ(Submitted(*session, Images(1)).Code(), ErrorCode::kDeviceLost);
  EXPECT_EQ(Submitted(*other, Images(1)).Code(), ErrorCode::kDeviceLost);
  EXPECT_EQ(CodeOf([&] { rig.Compile(); }), ErrorCode::kDeviceLost);
  EXPECT_EQ(CodeOf([&] { Session::Create({plan}, {}); }), ErrorCode::kDeviceLost);
  for (const DeviceInfo& device : rig.backend.Devices()) {
    EXPECT_FALSE(device.available);
    EXPECT_NE(device.reason.find("illegal memory access"), std::string::npos);
  }
}

TEST(CudaContext, ADeviceLostWhileCompilingIsLost) {
  Rig rig;
  rig.behaviour->launches_left = 5;
  EXPECT_EQ(CodeOf([&] { rig.Compile(); }), ErrorCode::kDeviceLost);
  rig.behaviour->launches_left = -1;
  EXPECT_EQ(CodeOf([&] { rig.Compile(); }), ErrorCode::kDeviceLost);
}

TEST(CudaContext, CancelledRunsEndAborted) {
  Rig rig;
  const auto session = Session::Create({rig.Compile()}, {.contexts = 1});
  rig.behaviour->launch_microseconds = 1000;
  Submitted running(*session, Images(4)), waiting(*session, Images(4)), kept(*session, Images(4));
  session->Cancel(waiting.id());
  EXPECT_EQ(waiting.Code(), ErrorCode::kAborted);
  session->Cancel(running.id());
  EXPECT_EQ(running.Code(), ErrorCode::kAborted);
  EXPECT_EQ(kept.Code(), ErrorCode::kInternal);
}

TEST(CudaContext, ASessionOverTwoDevicesUsesBoth) {
  Rig rig(2);
  const auto session = Session::Create({rig.Compile(4, 0, 0), rig.Compile(4, 0, 1)}, {.contexts = 1});
  rig.behaviour->launch_microseconds = 1000;
  Submitted first(*session, Images(2)), second(*session, Images(2));
  EXPECT_EQ(first.Logits(), second.Logits());
  EXPECT_EQ(rig.behaviour->most_streams_busy, 2);
}

TEST(CudaContext, ManySessionsLeaveNoMemoryBehind) {
  Rig rig;
  for (int i = 0; i < 50; ++i) {
    const auto session = Session::Create({rig.Compile()}, {.contexts = 2});
    Submitted(*session, Images(1 + i % 4)).Logits();
  }
  EXPECT_EQ(rig.behaviour->used_bytes, 0);
}

TEST(CudaBackend, RefusesWhatTheDeviceLacks) {
  Rig rig;
  EXPECT_EQ(CodeOf([&] { rig.backend.Compile(SmallResNet(), {.dtype = DType::kUint8}); }),
            ErrorCode::kUnsupported);
  EXPECT_EQ(CodeOf([&] { rig.backend.Compile(SmallResNet(), {.device_index = 7}); }),
            ErrorCode::kDeviceUnavailable);
}

}  // namespace
}  // namespace resnet_native
