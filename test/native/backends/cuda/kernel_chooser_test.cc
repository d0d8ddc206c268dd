#include "native/backends/cuda/kernel_chooser.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "native/backends/cuda/batch_buckets.h"
#include "test/native/support/code_of.h"
#include "test/native/support/simulated_device.h"

namespace resnet_native::cuda {
namespace {

using testing::Behaviour;
using testing::CodeOf;
using testing::MakeSimulatedDevice;

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "resnet-native-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Convolution Conv(int64_t n) {
  return {DType::kFloat16, n, 7, 5, 8, 16, 1, {3, 3, 1, 1, 1, 1, 1, 1}, true, true};
}

// A chooser on a simulated device with what it needs.
struct Rig {
  explicit Rig(const std::string& folder = "", size_t workspace_limit = 1 << 20, size_t budget = 0)
      : device(MakeSimulatedDevice(0, behaviour)),
        memory(std::make_shared<DeviceMemory>(device, budget)),
        choices(device->properties(), folder),
        chooser(
            device, memory, choices,
            [this](const Operation&, const std::string& name) {
              ++trials;
              return !behaviour->crashing.contains(name);
            },
            workspace_limit) {}

  std::string Choose(const Operation& operation, bool measure) {
    kept.push_back(chooser.Choose(operation, measure));
    return kept.back()->name();
  }

  std::shared_ptr<Behaviour> behaviour = std::make_shared<Behaviour>();
  std::shared_ptr<Device> device;
  std::shared_ptr<DeviceMemory> memory;
  ChoiceCache choices;
  int trials = 0;
  KernelChooser chooser;
  std::vector<std::shared_ptr<const Kernel>> kept;
};

TEST(KernelChooser, TakesTheFastestThatCanBeBuilt) {
  Rig rig;
  rig.behaviour->costs = {{"fused", 3}, {"split", 2}, {"risky", 1}};
  EXPECT_EQ(rig.Choose(Conv(2), true), "risky");
  EXPECT_EQ(rig.trials, 1);
  rig.behaviour->crashing = {"risky"};
  EXPECT_EQ(rig.Choose(Conv(3), true), "split");
  rig.behaviour->unbuildable = {"split"};
  EXPECT_EQ(rig.Choose(Conv(4), true), "fused");
}

TEST(KernelChooser, WithoutMeasuringTakesTheFirstOrWhatTheSameLayerHas) {
  Rig rig;
  rig.behaviour->costs = {{"fused", 3}, {"split", 2}};
  rig.behaviour->crashing = {"risky"};
  EXPECT_EQ(rig.Choose(Conv(1), false), "fused");
  EXPECT_EQ(rig.behaviour->launches, 0);
  EXPECT_EQ(rig.Choose(Conv(8), true), "split");
  rig.behaviour->costs = {{"fused", 1}, {"split", 2}};
  EXPECT_EQ(rig.Choose(Conv(32), true), "fused");
  EXPECT_EQ(rig.Choose(Conv(4), false), "split");   // as 8
  EXPECT_EQ(rig.Choose(Conv(16), false), "fused");  // as 32
  EXPECT_EQ(rig.Choose(Conv(64), false), "fused");
}

TEST(KernelChooser, SharesAKernelWhileSomebodyHoldsIt) {
  Rig rig;
  const auto first = rig.chooser.Choose(Conv(1), false);
  EXPECT_EQ(rig.chooser.Choose(Conv(1), true), first);
  EXPECT_EQ(rig.behaviour->builds, 1);
}

TEST(KernelChooser, PassesOverWorkspacesThatAreTooLarge) {
  Rig rig("", 999);
  rig.behaviour->costs = {{"split", 0.1}};
  rig.behaviour->crashing = {"risky"};
  EXPECT_EQ(rig.Choose(Conv(2), true), "fused");
}

TEST(KernelChooser, RemembersChoicesInAFile) {
  TemporaryFolder folder;
  Rig first(folder.path() + "/made/when/needed");
  first.behaviour->costs = {{"fused", 3}, {"split", 2}};
  first.behaviour->crashing = {"risky"};
  EXPECT_EQ(first.Choose(Conv(2), true), "split");

  Rig second(folder.path() + "/made/when/needed");
  EXPECT_EQ(second.Choose(Conv(2), true), "split");
  EXPECT_EQ(second.behaviour->launches, 0);
  EXPECT_EQ(second.trials, 0);

  // A choice that cannot be had any more is measured again.
  Rig third(folder.path() + "/made/when/needed");
  third.behaviour->unbuildable = {"split"};
  third.behaviour->crashing = {"risky"};
  EXPECT_EQ(third.Choose(Conv(2), true), "fused");
}

TEST(KernelChooser, IgnoresAFileThatIsDamagedOrOfOtherVersions) {
  TemporaryFolder folder;
  std::string path;
  {
    Rig rig(folder.path());
    rig.behaviour->costs = {{"split", 0.1}};
    rig.behaviour->crashing = {"risky"};
    rig.Choose(Conv(2), true);
    path = rig.choices.path();
  }
  std::ofstream(path, std::ios::app) << "garbage\n" << ToString(Conv(3)) << "\tsplit\t0.1";  // torn
  Rig torn(folder.path());
  EXPECT_TRUE(torn.choices.Find(Conv(2)).has_value());
  EXPECT_FALSE(torn.choices.Find(Conv(3)).has_value());

  std::ofstream(path) << "# another GPU\n" << ToString(Conv(2)) << "\tsplit\t0.1 ms .\n";
  Rig other(folder.path());
  EXPECT_FALSE(other.choices.Find(Conv(2)).has_value());
}

TEST(KernelChooser, AFolderThatCannotBeWrittenCostsNothingElse) {
  Rig rig("/proc/nowhere");
  EXPECT_EQ(rig.Choose(Conv(2), true), "fused");
}

TEST(KernelChooser, SaysWhyThereIsNone) {
  Rig rig;
  rig.behaviour->unbuildable = {"fused", "split"};
  rig.behaviour->crashing = {"risky"};
  EXPECT_EQ(CodeOf([&] { rig.chooser.Choose(Conv(2), true); }), ErrorCode::kUnsupported);
  Rig poor("", 1 << 20, 1000);
  EXPECT_EQ(CodeOf([&] { poor.chooser.Choose(Conv(2), true); }), ErrorCode::kOutOfMemory);
}

TEST(KernelChooser, ADeviceThatIsLostIsNoMatterOfTheCandidate) {
  Rig rig;
  rig.behaviour->launches_left = 2;
  EXPECT_EQ(CodeOf([&] { rig.chooser.Choose(Conv(2), true); }), ErrorCode::kDeviceLost);
}

TEST(DeviceMemory, KeepsToItsBudgetAndGivesBack) {
  const auto behaviour = std::make_shared<Behaviour>();
  const auto device = MakeSimulatedDevice(0, behaviour);
  const auto memory = std::make_shared<DeviceMemory>(device, 1000);
  {
    const auto first = memory->Allocate(600, "the first");
    try {
      memory->Allocate(401, "the second");
      FAIL() << "over the budget";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
      EXPECT_NE(std::string(error.what()).find("the second needs 401 bytes"), std::string::npos);
      EXPECT_NE(std::string(error.what()).find("400 bytes are free"), std::string::npos);
    }
    memory->Allocate(400, "what fits");
  }
  memory->Allocate(1000, "all of it");
  behaviour->memory_bytes = 500;
  EXPECT_EQ(CodeOf([&] { memory->Allocate(501, "more than the device has"); }), ErrorCode::kOutOfMemory);
  EXPECT_EQ(device->memory().free, 500u);
}

TEST(DeviceMemory, ShowsBytesForPeople) {
  EXPECT_EQ(ShowBytes(5), "5 bytes");
  EXPECT_EQ(ShowBytes((20 << 20) + 1), "21 MiB");
  EXPECT_EQ(ShowBytes(size_t{15} << 30), "15.0 GiB");
}

TEST(BatchBuckets, AscendToTheLargest) {
  EXPECT_EQ(BatchBuckets(1), (std::vector<int64_t>{1}));
  EXPECT_EQ(BatchBuckets(5), (std::vector<int64_t>{1, 2, 4, 5}));
  EXPECT_EQ(BatchBuckets(100), (std::vector<int64_t>{1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 100}));
  EXPECT_EQ(TunedBuckets(100), (std::vector<int64_t>{1, 8, 64, 100}));
  for (int64_t n = 1; n <= 100; ++n) {
    EXPECT_GE(BucketOf(n, 100), n);
    EXPECT_LE(BucketOf(n, 100), 2 * n - (n > 1));
  }
  EXPECT_EQ(BucketOf(101, 100), 101);
}

TEST(Operation, HasAKeyWithAllItsSizes) {
  EXPECT_EQ(ToString(Conv(2)), "conv f16 2x7x5x8 k16 3x3 s1x1 p1x1 d1x1 g1 residual relu");
  EXPECT_EQ(ToString(LoadInput{DType::kUint8, DType::kBfloat16, Layout::kNhwc, 2, 3, 4, 3, 4, true}),
            "load u8 nhwc to bf16 2x3x4x3 pad4 normalize");
  EXPECT_EQ(ToString(Linear{DType::kTf32, DType::kFloat32, 2, 3, 4}), "linear tf32 to f32 2x3 k4");
}

}  // namespace
}  // namespace resnet_native::cuda
