#include "native/backends/cpu/kernels/kernels.h"
#include "native/backends/cpu/kernels/storage-inl.h"

// Pooling for elements that a Storage loads (storage-inl.h): a vector of channels at a time.

namespace resnet_native::cpu {
namespace {

template <class V, class LoadPixel>
inline __attribute__((always_inline)) typename V::T LargestOf(int64_t count, LoadPixel load) {
  const float lowest = -__builtin_inff();
  typename V::T largest = count > 0 ? load(0) : V::Broadcast(&lowest);
  for (int64_t i = 1; i < count; ++i) largest = V::Max(largest, load(i));
  return largest;
}

template <class Storage>
void MaxPoolPixel(const char* const* pixels, int64_t count, int64_t channels, void* result) {
  using V = typename Storage::Simd;
  const auto* x = reinterpret_cast<const typename Storage::Element* const*>(pixels);
  auto* y = static_cast<typename Storage::Element*>(result);
  int64_t c = 0;
  for (; c + V::kLanes <= channels; c += V::kLanes) {
    Storage::Store(y + c, LargestOf<V>(count, [&](int64_t i) { return Storage::Load(x[i] + c); }));
  }
  if (c == channels) return;
  const int64_t rest = channels - c;
  Storage::StorePartial(
      y + c, LargestOf<V>(count, [&](int64_t i) { return Storage::LoadPartial(x[i] + c, rest); }), rest);
}

// Sums of rows are added up, instead of pixels: the rounding error grows with rows + columns.
template <class V, class Element, class LoadPixel>
inline __attribute__((always_inline)) typename V::T SumOfRows(const Element* x, const AverageExtent& extent,
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

template <class Storage>
void AveragePoolImage(const void* image, const AverageExtent& extent, int64_t channels, void* result) {
  using V = typename Storage::Simd;
  using Element = typename Storage::Element;
  const auto* x = static_cast<const Element*>(image);
  auto* y = static_cast<Element*>(result);
  int64_t c = 0;
  for (; c + V::kLanes <= channels; c += V::kLanes) {
    Storage::Store(y + c, SumOfRows<V>(x + c, extent, [](const Element* p) { return Storage::Load(p); }));
  }
  if (c == channels) return;
  const int64_t rest = channels - c;
  const typename V::T last =
      SumOfRows<V>(x + c, extent, [rest](const Element* p) { return Storage::LoadPartial(p, rest); });
  Storage::StorePartial(y + c, last, rest);
}

template <class Storage>
constexpr PoolKernels kPoolKernels{Storage::Simd::kIsa, MaxPoolPixel<Storage>, AveragePoolImage<Storage>};

}  // namespace
}  // namespace resnet_native::cpu
