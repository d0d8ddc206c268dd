#include "native/backends/cpu/cpu_info.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "native/backend.h"
#include "native/backends/cpu/cpu_features.h"
#include "native/backends/cpu/dispatch.h"
#include "native/error.h"

namespace resnet_native::cpu {
namespace {

// Sets RESNET_NATIVE_ISA for a scope.
class ForcedIsa {
 public:
  explicit ForcedIsa(const char* isa) {
    if (const char* old = std::getenv(kName)) old_ = old;
    setenv(kName, isa, 1);
  }
  ~ForcedIsa() {
    if (old_.empty()) {
      unsetenv(kName);
    } else {
      setenv(kName, old_.c_str(), 1);
    }
  }

 private:
  static constexpr const char* kName = "RESNET_NATIVE_ISA";
  std::string old_;
};

TEST(CpuInfo, ForcesAnInstructionSet) {
  const ForcedIsa forced("scalar");
  EXPECT_EQ(SelectIsa(), Isa::kScalar);
  const DeviceInfo device = CpuBackend().Devices().at(0);
  EXPECT_EQ(device.isa, "scalar");
  EXPECT_TRUE(device.available);
  EXPECT_EQ(device.dtypes.at(1), "bfloat16");
  EXPECT_NE(device.reason.find("bfloat16 is widened to float32"), std::string::npos);
}

TEST(CpuInfo, RefusesAnUnknownInstructionSet) {
  const ForcedIsa forced("sse9");
  try {
    SelectIsa();
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_STREQ(error.what(), "RESNET_NATIVE_ISA is \"sse9\"; expected amx, avx512, avx2, neon or scalar");
  }
}

TEST(CpuInfo, RefusesAnInstructionSetThatTheCpuLacks) {
  for (Isa isa : {Isa::kNeon, Isa::kAvx2, Isa::kAvx512, Isa::kAmx}) {
    if (HasIsa(isa)) continue;
    const ForcedIsa forced(IsaName(isa));
    try {
      SelectIsa();
      FAIL() << "expected an error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kDeviceUnavailable);
    }
    const DeviceInfo device = CpuBackend().Devices().at(0);
    EXPECT_FALSE(device.available);
    EXPECT_NE(device.reason.find(IsaName(isa)), std::string::npos);
  }
}

TEST(CpuInfo, FindsAtLeastOneCpuAndItsCaches) {
  EXPECT_GE(AvailableParallelism(), 1);
  EXPECT_GE(Caches().l1, size_t{8} << 10);
  EXPECT_GE(Caches().l2, Caches().l1);
  EXPECT_FALSE(CpuName().empty());
}

TEST(CpuInfo, AForcedInstructionSetHasNothingBeyondItsName) {
  EXPECT_EQ(FeaturesFor(Isa::kScalar), 0u);
  EXPECT_EQ(FeaturesFor(Isa::kAvx2) & ~(kAvx2Fma | kAvxVnni), 0u);
  EXPECT_EQ(FeaturesFor(Isa::kAvx512) & (kAmxBf16 | kAmxInt8 | kNeon), 0u);
  EXPECT_EQ(FeaturesFor(Isa::kNeon) & (kAvx2Fma | kAvx512), 0u);
  for (Isa isa : {Isa::kScalar, Isa::kNeon, Isa::kAvx2, Isa::kAvx512, Isa::kAmx}) {
    EXPECT_EQ(FeaturesFor(isa) & ~MachineFeatures(), 0u) << IsaName(isa);
  }
}

TEST(Dispatch, TheScalarRowIsAlwaysThere) {
  const KernelSet kernels = KernelTable(0)[DType::kFloat32];
  ASSERT_TRUE(kernels.IsComplete());
  EXPECT_STREQ(kernels.conv->isa, "scalar");
  EXPECT_STREQ(kernels.pool->isa, "scalar");
  EXPECT_STREQ(kernels.elementwise->isa, "scalar");
}

TEST(Dispatch, TakesNothingBeyondTheInstructionSet) {
  for (Isa isa : {Isa::kScalar, Isa::kNeon, Isa::kAvx2, Isa::kAvx512}) {
    if (!HasIsa(isa)) continue;
    EXPECT_STREQ(KernelTable(FeaturesFor(isa))[DType::kFloat32].conv->isa, IsaName(isa));
  }
}

TEST(Dispatch, RowsAreNotOrderedByTheirNeeds) {
  // Features that no machine has together: what one row needs says nothing about another.
  EXPECT_STREQ(KernelTable(kAvx512Bf16 | kAmxBf16)[DType::kFloat32].conv->isa, "scalar");
}

TEST(Dispatch, EachExtensionOfArmBringsItsKernels) {
#if defined(__aarch64__)
  const auto int8 = [](Features features) { return KernelTable(features)[DType::kInt8].int8->isa; };
  EXPECT_STREQ(int8(kNeon), "neon");
  EXPECT_STREQ(int8(kNeon | kNeonDotProduct), "neon-dotprod");
  EXPECT_STREQ(int8(kNeon | kNeonDotProduct | kNeonI8mm), "neon-i8mm");
  EXPECT_STREQ(KernelTable(kNeon)[DType::kBfloat16].conv->isa, "neon");
  EXPECT_STREQ(KernelTable(kNeon | kNeonBf16)[DType::kBfloat16].conv->isa, "neon_bf16");
#else
  GTEST_SKIP() << "this build is not for Arm";
#endif
}

TEST(Dispatch, HasNothingForADataTypeWithoutKernels) {
  EXPECT_FALSE(KernelTable(MachineFeatures())[DType::kFloat16].IsComplete());
}

}  // namespace
}  // namespace resnet_native::cpu
