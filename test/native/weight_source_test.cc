#include "native/weight_source.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <vector>

#include "native/error.h"
#include "test/native/support/code_of.h"

namespace resnet_native {
namespace {

using resnet_native::testing::CodeOf;

// A file of eight bytes of something else, the floats 0 to 99, the int8 -50 to 49, and all 16-bit patterns.
class StoredWeightTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kFloats = 8, kBytes = kFloats + 100 * sizeof(float), kHalves = kBytes + 100;
  static constexpr size_t kPatterns = 65536;

  void SetUp() override {
    std::ofstream file(path_, std::ios::binary);
    file.write("somewhat", 8);
    for (int i = 0; i < 100; ++i) {
      const auto value = static_cast<float>(i);
      file.write(reinterpret_cast<const char*>(&value), sizeof value);
    }
    for (int i = -50; i < 50; ++i) file.put(static_cast<char>(i));
    for (size_t i = 0; i < kPatterns; ++i) {
      const auto pattern = static_cast<uint16_t>(i);
      file.write(reinterpret_cast<const char*>(&pattern), sizeof pattern);
    }
  }
  void TearDown() override { std::filesystem::remove(path_); }

  std::shared_ptr<const WeightsFile> Open() const {
    const int descriptor = open(path_.c_str(), O_RDONLY);
    struct stat status;
    fstat(descriptor, &status);
    const WeightsFile::State state{status.st_size,
                                   int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
    auto file = std::make_shared<const WeightsFile>(descriptor, path_, state);
    close(descriptor);
    return file;
  }

  const std::string path_ =
      ::testing::TempDir() + "stored-" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
};

std::vector<float> ValuesOf(const Weight& weight) { return {weight.data, weight.data + weight.size}; }

TEST_F(StoredWeightTest, ReadsPartsOfFloats) {
  const auto source = WeightSource::InFile(Open(), kFloats, DType::kFloat32, 100);
  EXPECT_EQ(source.size(), 100u);
  EXPECT_EQ(ValuesOf(source.Read(0, 3)), (std::vector<float>{0, 1, 2}));
  EXPECT_EQ(ValuesOf(source.Read(97, 3)), (std::vector<float>{97, 98, 99}));
  EXPECT_EQ(source.Read().size, 100u);
}

TEST_F(StoredWeightTest, WidensInt8) {
  const auto source = WeightSource::InFile(Open(), kBytes, DType::kInt8, 100);
  std::vector<float> expected;
  for (int i = -50; i < 50; ++i) expected.push_back(static_cast<float>(i));
  EXPECT_EQ(ValuesOf(source.Read()), expected);
  EXPECT_EQ(ValuesOf(source.Read(40, 2)), (std::vector<float>{-10, -9}));
}

uint32_t BitsOf(float value) { return std::bit_cast<uint32_t>(value); }

TEST_F(StoredWeightTest, WidensEveryFloat16) {
  const Weight read = WeightSource::InFile(Open(), kHalves, DType::kFloat16, kPatterns).Read();
  for (size_t i = 0; i < kPatterns; ++i) {
    const int exponent = static_cast<int>(i >> 10 & 31), fraction = static_cast<int>(i & 1023);
    if (exponent == 31) {
      EXPECT_EQ(BitsOf(read[i]), (i >> 15 << 31 | 0x7f800000u | static_cast<uint32_t>(fraction) << 13)) << i;
      continue;
    }
    const float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                          : std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
    EXPECT_EQ(BitsOf(read[i]), BitsOf(i >> 15 ? -magnitude : magnitude)) << i;
  }
}

TEST_F(StoredWeightTest, WidensEveryBfloat16) {
  const auto source = WeightSource::InFile(Open(), kHalves, DType::kBfloat16, kPatterns);
  const Weight read = source.Read();
  for (size_t i = 0; i < kPatterns; ++i) EXPECT_EQ(BitsOf(read[i]), i << 16) << i;
  EXPECT_EQ(BitsOf(source.Read(0x3f80, 2)[1]), 0x3f810000u);
}

TEST_F(StoredWeightTest, OutlivesTheNameOfItsFile) {
  const auto source = WeightSource::InFile(Open(), kFloats, DType::kFloat32, 100);
  std::filesystem::remove(path_);
  EXPECT_EQ(source.Read(42, 1)[0], 42);
}

TEST_F(StoredWeightTest, RefusesAFileThatWasWrittenTo) {
  const auto source = WeightSource::InFile(Open(), kFloats, DType::kFloat32, 100);
  std::fstream(path_, std::ios::in | std::ios::out | std::ios::binary).write("anything", 8);
  std::filesystem::last_write_time(path_, std::filesystem::last_write_time(path_) + std::chrono::seconds(1));
  EXPECT_EQ(CodeOf([&] { source.Read(); }), ErrorCode::kFile);
}

TEST_F(StoredWeightTest, RefusesAFileThatIsCutOff) {
  const auto source = WeightSource::InFile(Open(), kFloats, DType::kFloat32, 100);
  std::filesystem::resize_file(path_, 20);
  EXPECT_EQ(CodeOf([&] { source.Read(50, 1); }), ErrorCode::kFile);
}

TEST(WeightSource, RefusesADescriptorThatIsNoFile) {
  EXPECT_EQ(CodeOf([] { WeightsFile(-1, "nowhere", {}); }), ErrorCode::kFile);
}

TEST(WeightSource, ReadsFloatsInMemoryWithoutACopy) {
  const Weight weight = Weight::Own({1, 2, 3, 4});
  const Weight part = WeightSource(weight).Read(1, 2);
  EXPECT_EQ(part.data, weight.data + 1);
  EXPECT_EQ(part.owner, weight.owner);
  EXPECT_EQ(part.size, 2u);
}

TEST(WeightSource, WidensInt8InMemory) {
  const auto bytes = std::make_shared<const std::vector<int8_t>>(std::vector<int8_t>{-128, 0, 127});
  const auto source = WeightSource::InMemory(bytes, bytes->data(), DType::kInt8, 3);
  EXPECT_EQ(ValuesOf(source.Read()), (std::vector<float>{-128, 0, 127}));
}

}  // namespace
}  // namespace resnet_native
