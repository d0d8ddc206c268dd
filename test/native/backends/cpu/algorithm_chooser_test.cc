#include "native/backends/cpu/algorithm_chooser.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "native/error.h"
#include "test/native/support/cpu_steps.h"

// The times are made up: no test depends on how fast anything is.

namespace resnet_native::cpu {
namespace {

using namespace testing;

const TensorShape kResult{2, 8, 8};

class AlgorithmChooserTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.autotune = Autotune::kQuick;
    // Tests run beside each other.
    options_.cache_folder = ::testing::TempDir() + "algorithm-chooser-" +
                            ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(options_.cache_folder);
  }
  void TearDown() override { std::filesystem::remove_all(options_.cache_folder); }

  // Chooses for a 3×3 convolution of 16 channels, whose algorithms take these times.
  AlgorithmChoice Choose(double direct, double f2, double f4, const std::string& node = "conv") {
    const StepTimer timer = [=, this](const Step& step, const TensorShape& x, const TensorShape& y, DType,
                                      bool) {
      EXPECT_EQ(x, (TensorShape{2, 8, 8, 16}));
      EXPECT_EQ(y, x);
      ++timed_;
      const bool winograd = step.Kernel().find("winograd") == 0;
      return !winograd ? direct : step.Kernel().find("4x4") != std::string::npos ? f4 : f2;
    };
    AlgorithmChooser chooser(options_, "isa", 2, timer);
    return chooser.Choose(node, RandomConv(16, 16, Square(3, 1, 1)), kResult, DType::kFloat32,
                          {kernels_, pool_, WinogradTile::kF2});
  }

  CompileOptions options_;
  const KernelTable kernels_{Features{0}};
  ThreadPool pool_{1};
  int timed_ = 0;
};

TEST_F(AlgorithmChooserTest, TheCostModelMeasuresNothing) {
  options_.autotune = Autotune::kOff;
  const AlgorithmChoice choice = Choose(1, 1, 1);
  EXPECT_EQ(choice.algorithm, WinogradTile::kF2);
  EXPECT_EQ(choice.reason, "the cost model");
  EXPECT_EQ(timed_, 0);
  EXPECT_FALSE(std::filesystem::exists(options_.cache_folder));
}

TEST_F(AlgorithmChooserTest, TakesTheFastest) {
  const AlgorithmChoice choice = Choose(3, 1, 2);
  EXPECT_EQ(choice.algorithm, WinogradTile::kF2);
  EXPECT_EQ(choice.reason, "measured: direct 3.000 ms, winograd 2x2 1.000 ms, winograd 4x4 2.000 ms");
}

TEST_F(AlgorithmChooserTest, MemoryHasToBeWorthIt) {
  EXPECT_EQ(Choose(1, 0.99, 0.98).algorithm, std::nullopt);
}

TEST_F(AlgorithmChooserTest, AnotherSessionFindsWhatWasMeasured) {
  Choose(3, 2, 1);
  const AlgorithmChoice choice = Choose(1, 2, 3);
  EXPECT_EQ(choice.algorithm, WinogradTile::kF4);
  EXPECT_EQ(choice.reason, "measured before");
  EXPECT_EQ(timed_, 3);
}

TEST_F(AlgorithmChooserTest, AFullMeasuringDoesNotTakeAQuickOnesWord) {
  Choose(3, 2, 1);
  options_.autotune = Autotune::kFull;
  EXPECT_EQ(Choose(1, 2, 3).algorithm, std::nullopt);
  EXPECT_EQ(timed_, 6);
}

TEST_F(AlgorithmChooserTest, ADamagedFileIsPassedOverAndTheReasonKept) {
  Choose(3, 2, 1);
  for (const auto& file : std::filesystem::directory_iterator(options_.cache_folder)) {
    std::ofstream(file.path()) << "damaged\n";
  }
  const AlgorithmChoice choice = Choose(1, 2, 3);
  EXPECT_EQ(choice.algorithm, std::nullopt);
  EXPECT_NE(choice.reason.find("is no list of choices for this machine"), std::string::npos) << choice.reason;
}

TEST_F(AlgorithmChooserTest, APlanCountsBeforeMeasuring) {
  options_.plan = {{"conv", "winograd 2x2"}, {"another", "direct"}};
  const AlgorithmChoice choice = Choose(1, 2, 3);
  EXPECT_EQ(choice.algorithm, WinogradTile::kF2);
  EXPECT_EQ(choice.reason, "the plan given");
  EXPECT_EQ(timed_, 0);
}

TEST_F(AlgorithmChooserTest, APlanMayNotNameWhatCannotBe) {
  options_.plan = {{"conv", "winograd 2x2"}};
  options_.memory = MemoryMode::kLow;
  EXPECT_THROW(Choose(1, 2, 3), Error);
  options_.plan = {{"conv", "fft"}};
  EXPECT_THROW(Choose(1, 2, 3), Error);
}

TEST_F(AlgorithmChooserTest, AHugeBatchIsMeasuredAsASmallerOne) {
  const StepTimer timer = [this](const Step&, const TensorShape& x, const TensorShape& y, DType, bool) {
    EXPECT_EQ(x, (TensorShape{32, 8, 8, 16}));
    EXPECT_EQ(y, x);
    return ++timed_;
  };
  AlgorithmChooser chooser(options_, "isa", 2, timer);
  chooser.Choose("conv", RandomConv(16, 16, Square(3, 1, 1)), {65536, 8, 8}, DType::kFloat32,
                 {kernels_, pool_});
  EXPECT_GT(timed_, 1);
}

TEST_F(AlgorithmChooserTest, WhatHasOneAlgorithmIsNotMeasured) {
  options_.memory = MemoryMode::kLow;
  const AlgorithmChoice choice = Choose(3, 2, 1);
  EXPECT_EQ(choice.algorithm, std::nullopt);
  EXPECT_EQ(choice.reason, "");
  EXPECT_EQ(timed_, 0);
}

TEST_F(AlgorithmChooserTest, TheTimerRunsTheStep) {
  const Conv2dOp op = RandomConv(16, 16, Square(3, 1, 1));
  const StepOptions step_options{kernels_, pool_};
  const auto step = MakeStep(op, false, {}, step_options);
  EXPECT_GT(ColdTimer(pool_, 2)(*step, {2, 8, 8, 16}, {2, 8, 8, 16}, DType::kFloat32, true), 0);
}

}  // namespace
}  // namespace resnet_native::cpu
