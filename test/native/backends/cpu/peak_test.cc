#include "native/backends/cpu/peak.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>

#include "native/backends/cpu/dispatch.h"
#include "native/bfloat16.h"
#include "native/error.h"

namespace resnet_native::cpu {
namespace {

// What was computed shows that every multiply-add that is counted was made.
void ExpectMultiplyAdds(const KernelSet& kernels, float factor, const char* isa) {
  const int lanes = kernels.elementwise->lanes;
  alignas(64) float values[64];
  std::fill_n(values, 64, factor);
  kernels.peak->multiply_add(3, values);
  const float expected = 3.f * 0.25f * static_cast<float>(kernels.peak->flops_per_round / 2 / lanes);
  for (int lane = 0; lane < lanes; ++lane) EXPECT_EQ(values[lane], expected) << isa;
}

TEST(Peak, KernelsMakeTheMultiplyAddsThatTheyCount) {
  const uint32_t half = ToBfloat16(0.5f);
  for (Isa isa : {Isa::kScalar, Isa::kNeon, Isa::kAvx2, Isa::kAvx512}) {
    if (!HasIsa(isa)) continue;
    const KernelTable kernels(FeaturesFor(isa));
    ExpectMultiplyAdds(kernels[DType::kFloat32], 0.5f, IsaName(isa));
    ExpectMultiplyAdds(kernels[DType::kBfloat16], std::bit_cast<float>(half << 16 | half), IsaName(isa));
  }
}

TEST(Peak, IsMeasured) {
  const Peak peak = MeasurePeak(2);
  EXPECT_GT(peak.float32_gflops, 0);
  EXPECT_GT(peak.bfloat16_gflops, 0);
  EXPECT_GT(peak.int8_gops, 0);
  EXPECT_GT(peak.bandwidth, 0);
}

TEST(Peak, OfNoThreadsIsAnError) { EXPECT_THROW(MeasurePeak(0), Error); }

}  // namespace
}  // namespace resnet_native::cpu
