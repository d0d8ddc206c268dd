#include "native/choice_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <latch>
#include <string>
#include <thread>
#include <vector>

namespace resnet_native {
namespace {

class ChoiceFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              ("choices-" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::remove_all(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  ChoiceFile Open(const std::string& machine = "machine") { return {machine, "kind", folder_.string()}; }
  void Append(const std::string& text) { std::ofstream(Open().path(), std::ios::app) << text; }

  std::filesystem::path folder_;
};

TEST_F(ChoiceFileTest, RemembersTheLastChoice) {
  {
    ChoiceFile file = Open();
    EXPECT_EQ(file.Find("key"), std::nullopt);
    file.Remember("key", "first", 2);
    file.Remember("key", "second", 1);
    EXPECT_EQ(file.Find("key"), "second");
  }
  EXPECT_EQ(Open().Find("key"), "second");
  EXPECT_EQ(Open().problem(), "");
}

TEST_F(ChoiceFileTest, AnotherMachineKnowsNothing) {
  Open().Remember("key", "choice", 1);
  EXPECT_EQ(Open("another").Find("key"), std::nullopt);
  EXPECT_NE(Open("another").path(), Open().path());
}

TEST_F(ChoiceFileTest, PassesOverATornLine) {
  Open().Remember("key", "choice", 1);
  Append("torn\tcho\n");
  Open().Remember("later", "other", 1);
  EXPECT_EQ(Open().Find("key"), "choice");
  EXPECT_EQ(Open().Find("torn"), std::nullopt);
  EXPECT_EQ(Open().Find("later"), "other");
  EXPECT_NE(Open().problem().find("line 3 of"), std::string::npos) << Open().problem();
}

TEST_F(ChoiceFileTest, ReplacesWhatIsNoList) {
  std::filesystem::create_directories(folder_);
  Append("not a list\nkey\tchoice\t1 ms .\n");
  ChoiceFile file = Open();
  EXPECT_EQ(file.Find("key"), std::nullopt);
  EXPECT_NE(file.problem().find("no list of choices"), std::string::npos);
  file.Remember("key", "choice", 1);
  EXPECT_EQ(Open().Find("key"), "choice");
  EXPECT_EQ(Open().problem(), "");
}

TEST_F(ChoiceFileTest, WhatIsNoListIsReplacedByTheFirstWriterOnly) {
  std::filesystem::create_directories(folder_);
  Append("not a list\n");
  ChoiceFile first = Open(), second = Open();
  first.Remember("first", "choice", 1);
  second.Remember("second", "choice", 1);
  EXPECT_EQ(Open().Find("first"), "choice");
  EXPECT_EQ(Open().Find("second"), "choice");
}

TEST_F(ChoiceFileTest, FirstWritersAtOnceLoseNothing) {
  constexpr int kWriters = 8, kRounds = 50;
  for (int round = 0; round < kRounds; ++round) {
    std::filesystem::remove_all(folder_);
    std::latch start(kWriters);
    std::vector<std::thread> writers;
    for (int i = 0; i < kWriters; ++i) {
      writers.emplace_back([&, i] {
        ChoiceFile file = Open();
        start.arrive_and_wait();
        file.Remember("key " + std::to_string(i), "choice", 1);
      });
    }
    for (std::thread& writer : writers) writer.join();
    for (int i = 0; i < kWriters; ++i) {
      ASSERT_EQ(Open().Find("key " + std::to_string(i)), "choice") << "round " << round;
    }
    ASSERT_EQ(Open().problem(), "");
  }
}

TEST_F(ChoiceFileTest, AFolderThatCannotBeMadeCostsOnlyTheFile) {
  std::ofstream(folder_) << "a file";
  ChoiceFile file = Open();
  file.Remember("key", "choice", 1);
  EXPECT_EQ(file.Find("key"), "choice");
}

}  // namespace
}  // namespace resnet_native
