#include "native/backends/cpu/cpu_info.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "native/backend.h"
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
  EXPECT_EQ(CpuBackend().Devices().at(0).isa, "scalar");
}

TEST(CpuInfo, RefusesAnUnknownInstructionSet) {
  const ForcedIsa forced("sse9");
  try {
    SelectIsa();
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_STREQ(error.what(), "RESNET_NATIVE_ISA is \"sse9\"; expected avx512, avx2, neon or scalar");
  }
}

TEST(CpuInfo, RefusesAnInstructionSetThatTheCpuLacks) {
  for (Isa isa : {Isa::kNeon, Isa::kAvx2, Isa::kAvx512}) {
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

TEST(Dispatch, TheScalarRowIsAlwaysThere) {
  const KernelSet kernels = SelectKernels(DType::kFloat32, Isa::kScalar);
  EXPECT_STREQ(kernels.conv->isa, "scalar");
  EXPECT_STREQ(kernels.pool->isa, "scalar");
  EXPECT_STREQ(kernels.elementwise->isa, "scalar");
}

TEST(Dispatch, TakesNothingBeyondTheInstructionSet) {
  for (Isa isa : {Isa::kScalar, Isa::kNeon, Isa::kAvx2, Isa::kAvx512}) {
    if (!HasIsa(isa)) continue;
    EXPECT_STREQ(SelectKernels(DType::kFloat32, isa).conv->isa, IsaName(isa));
  }
}

TEST(Dispatch, RefusesADataTypeWithoutKernels) {
  EXPECT_THROW(SelectKernels(DType::kFloat16, Isa::kAvx512), Error);
}

}  // namespace
}  // namespace resnet_native::cpu
