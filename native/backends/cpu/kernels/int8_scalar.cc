#include "native/backends/cpu/kernels/int8_plain-inl.h"

namespace resnet_native::cpu {
namespace {

void PlainSums(const Int8Tile& tile) {
  for (int i = 0; i < tile.pixels; ++i) {
    const uint8_t* x = tile.x + i * tile.x_stride;
    for (int b = 0; b < tile.blocks; ++b) {
      const int8_t* w = tile.weights + b * tile.steps * kInt8Panel;
      int32_t sums[kInt8Block] = {};
      for (int64_t step = 0; step < tile.steps; ++step, w += kInt8Panel) {
        for (int lane = 0; lane < kInt8Block; ++lane) {
          for (int k = 0; k < 4; ++k) sums[lane] += x[4 * step + k] * w[4 * lane + k];
        }
      }
      for (int lane = 0; lane < kInt8Block; ++lane) {
        tile.sums[i * kInt8Panel + b * kInt8Block + lane] = sums[lane];
      }
    }
  }
}

}  // namespace

constexpr Int8Kernels kInt8Scalar = MakeInt8Kernels("scalar", 32, PlainSums);

}  // namespace resnet_native::cpu
