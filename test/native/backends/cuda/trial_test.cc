#include "native/backends/cuda/trial.h"

#include <gtest/gtest.h>

#include "test/native/support/simulated_device.h"

namespace resnet_native::cuda {
namespace {

using std::chrono::milliseconds;

bool Shell(const std::string& script, milliseconds limit = milliseconds(20'000)) {
  return RunsWell("/bin/sh", {"-c", script}, limit);
}

TEST(CudaTrial, OnlyAProcessThatEndsWellHasRunWell) {
  EXPECT_TRUE(Shell("exit 0"));
  EXPECT_FALSE(Shell("exit 1"));
  EXPECT_FALSE(Shell("kill -SEGV $$"));
  EXPECT_FALSE(Shell("while :; do :; done", milliseconds(50)));
  EXPECT_FALSE(RunsWell("/nowhere/at/all", {}, milliseconds(1000)));
}

TEST(CudaTrial, AnOperationSurvivesTheCommandLine) {
  const Convolution conv{DType::kInt8, 2, 7, 5, 8, 16, 4, {3, 1, 2, 1, 1, 0, 2, 1}, true, false};
  for (const Operation& operation :
       {Operation(conv), Operation(Linear{DType::kTf32, DType::kFloat32, 2, 3, 4}),
        Operation(Elementwise{})}) {
    EXPECT_EQ(FromArgument(ToArgument(operation)), operation);
  }
  EXPECT_THROW(FromArgument("00"), Error);
}

TEST(CudaTrial, TryingLaunchesTheCandidate) {
  const auto behaviour = std::make_shared<testing::Behaviour>();
  const auto device = testing::MakeSimulatedDevice(0, behaviour);
  const Convolution conv{DType::kFloat16, 2, 7, 5, 8, 16, 1, {3, 3, 1, 1, 1, 1, 1, 1}, true, true};
  Try(*device, conv, "risky");
  EXPECT_GT(behaviour->launches, 0);
  EXPECT_EQ(behaviour->used_bytes, 0);
  EXPECT_THROW(Try(*device, conv, "no candidate"), Error);
}

}  // namespace
}  // namespace resnet_native::cuda
