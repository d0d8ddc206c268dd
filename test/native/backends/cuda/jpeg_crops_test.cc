#include "native/backends/cuda/jpeg_crops.h"

#include <gtest/gtest.h>

#include <array>

#include "native/backends/cuda/backend.h"
#include "test/native/support/simulated_device.h"

// The memory of decoding on a simulated device. What becomes of pictures is tested through the whole package
// (test/tasks/device-decode.test.ts).

namespace resnet_native {
namespace {

// So much of a JPEG that the simulated decoder takes it, and then fails at it.
constexpr std::array<uint8_t, 3> kDamaged{0xff, 0xd8, 0};

// Narrow pictures that become wide: little to decode, and 48 MB between the passes.
std::vector<JpegCrop> Widened(size_t count) {
  JpegCrop crop{.file = kDamaged, .height = 4000, .width = 4};
  crop.geometry.resized_height = 4000;
  crop.geometry.resized_width = crop.geometry.crop_width = 4000;
  crop.geometry.crop_height = 10;
  return std::vector<JpegCrop>(count, crop);
}

struct Rig {
  const std::shared_ptr<testing::Behaviour> behaviour = std::make_shared<testing::Behaviour>();
  cuda::CudaBackend backend{std::make_unique<testing::SimulatedSource>(behaviour)};
};

TEST(CudaJpegCrops, MemoryCountsWhatIsMadeOfThePictures) {
  Rig rig;
  std::vector<JpegCrop> crops = Widened(16);
  rig.backend.DecodeJpegs(0, crops);
  EXPECT_GT(rig.behaviour->used_bytes, 0);
  EXPECT_LE(rig.behaviour->used_bytes, (int64_t{256} << 20) + (int64_t{4} << 20));  // with the filters
}

TEST(CudaJpegCrops, WithoutMemoryTheHostDecodes) {
  Rig rig;
  rig.behaviour->memory_bytes = 1000;
  std::vector<JpegCrop> crops = Widened(2);
  EXPECT_NO_THROW(rig.backend.DecodeJpegs(0, crops));
  for (const JpegCrop& crop : crops) EXPECT_FALSE(crop.done);
}

}  // namespace
}  // namespace resnet_native
