#include "native/backends/cpu/kernels/kernels.h"

// Pooling for the vector type V of a simd_*.h: a vector of channels at a time.

namespace resnet_native::cpu {
namespace {

template <class V>
void MaxPoolPixel(const float* const* x, int64_t count, int64_t channels, float* y) {
  int64_t c = 0;
  for (; c + V::kLanes <= channels; c += V::kLanes) {
    typename V::T largest = V::Load(x[0] + c);
    for (int64_t i = 1; i < count; ++i) largest = V::Max(largest, V::Load(x[i] + c));
    V::Store(y + c, largest);
  }
  if (c == channels) return;
  typename V::T largest = V::LoadPartial(x[0] + c, channels - c);
  for (int64_t i = 1; i < count; ++i) largest = V::Max(largest, V::LoadPartial(x[i] + c, channels - c));
  V::StorePartial(y + c, largest, channels - c);
}

// Sums of rows are added up, instead of pixels: the rounding error grows with rows + columns.
template <class V, class LoadPixel>
inline __attribute__((always_inline)) typename V::T SumOfRows(const float* x, const AverageExtent& extent,
                                                              LoadPixel load) {
  typename V::T sum = V::Zero();
  for (int64_t h = 0; h < extent.h; ++h) {
    typename V::T row = V::Zero();
    for (int64_t w = 0; w < extent.w; ++w, x += extent.pixel_stride) row = V::Add(row, load(x));
    sum = V::Add(sum, row);
  }
  const float scale = 1.0f / static_cast<float>(extent.h * extent.w);
  return V::Mul(sum, V::Broadcast(&scale));
}

template <class V>
void AveragePoolImage(const float* x, const AverageExtent& extent, int64_t channels, float* y) {
  int64_t c = 0;
  for (; c + V::kLanes <= channels; c += V::kLanes) {
    V::Store(y + c, SumOfRows<V>(x + c, extent, [](const float* p) { return V::Load(p); }));
  }
  if (c == channels) return;
  const int64_t rest = channels - c;
  const typename V::T last =
      SumOfRows<V>(x + c, extent, [rest](const float* p) { return V::LoadPartial(p, rest); });
  V::StorePartial(y + c, last, rest);
}

template <class V>
constexpr PoolKernels kPoolKernels{V::kIsa, MaxPoolPixel<V>, AveragePoolImage<V>};

}  // namespace
}  // namespace resnet_native::cpu
