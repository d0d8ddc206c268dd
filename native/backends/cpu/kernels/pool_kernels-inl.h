#include "native/backends/cpu/kernels/kernels.h"
#include "native/backends/cpu/kernels/max_pool-inl.h"
#include "native/backends/cpu/kernels/storage-inl.h"

// Pooling for elements that a Storage loads (storage-inl.h): a vector of channels at a time.

namespace resnet_native::cpu {
namespace {

template <class Storage>
struct FloatLanes {
  using T = typename Storage::Simd::T;
  using Element = typename Storage::Element;
  static constexpr int kLanes = Storage::Simd::kLanes;

  inline __attribute__((always_inline)) T Load(const Element* p) const { return Storage::Load(p); }
  inline __attribute__((always_inline)) void Store(Element* p, T v) const { Storage::Store(p, v); }
  inline __attribute__((always_inline)) T Lowest() const {
    const float lowest = -__builtin_inff();
    return Storage::Simd::Broadcast(&lowest);
  }
  inline __attribute__((always_inline)) T Max(T a, T b) const { return Storage::Simd::Max(a, b); }
};

// The first few of a vector.
template <class Storage>
struct FewFloatLanes : FloatLanes<Storage> {
  using typename FloatLanes<Storage>::T;
  using typename FloatLanes<Storage>::Element;
  int64_t count;

  inline __attribute__((always_inline)) T Load(const Element* p) const {
    return Storage::LoadPartial(p, count);
  }
  inline __attribute__((always_inline)) void Store(Element* p, T v) const {
    Storage::StorePartial(p, v, count);
  }
};

template <class Storage>
void MaxPoolOf(const MaxPoolRow& row) {
  const int64_t c = PoolWholeVectors(FloatLanes<Storage>{}, row);
  if (c < row.channels) PoolChannels<1>(FewFloatLanes<Storage>{{}, row.channels - c}, row, c);
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
constexpr PoolKernels kPoolKernels{Storage::Simd::kIsa, MaxPoolOf<Storage>, AveragePoolImage<Storage>};

}  // namespace
}  // namespace resnet_native::cpu
