#include "native/backends/cpu/kernels/kernels.h"
#include "native/backends/cpu/kernels/storage-inl.h"

// What touches each element once, for elements that a Storage loads (storage-inl.h).

namespace resnet_native::cpu {
namespace {

// Calls whole(i) for each whole vector of `count` elements, and rest(i, left) for what is left.
template <class V, class Whole, class Rest>
inline __attribute__((always_inline)) void ForEachVector(int64_t count, Whole whole, Rest rest) {
  int64_t i = 0;
  for (; i + V::kLanes <= count; i += V::kLanes) whole(i);
  if (i < count) rest(i, count - i);
}

// y[i] = function(x[i]); From and To may be different storages.
template <class From, class To, class Function>
inline __attribute__((always_inline)) void Map(const void* x, int64_t count, void* y, Function function) {
  const auto* from = static_cast<const typename From::Element*>(x);
  auto* to = static_cast<typename To::Element*>(y);
  ForEachVector<typename From::Simd>(
      count, [&](int64_t i) { To::Store(to + i, function(From::Load(from + i))); },
      [&](int64_t i, int64_t left) {
        To::StorePartial(to + i, function(From::LoadPartial(from + i, left)), left);
      });
}

template <class Storage>
void ReluKernel(const void* x, int64_t count, void* y) {
  Map<Storage, Storage>(x, count, y, [](typename Storage::T v) { return Storage::Simd::Relu(v); });
}

template <class Storage>
void WidenKernel(const void* x, int64_t count, float* y) {
  Map<Storage, Float32Storage<typename Storage::Simd>>(x, count, y, [](typename Storage::T v) { return v; });
}

template <class Storage>
void NarrowKernel(const float* x, int64_t count, void* y) {
  Map<Float32Storage<typename Storage::Simd>, Storage>(x, count, y, [](typename Storage::T v) { return v; });
}

template <class Storage>
void AddKernel(const void* a, const void* b, int64_t count, bool relu, void* y) {
  using V = typename Storage::Simd;
  const auto* left_terms = static_cast<const typename Storage::Element*>(a);
  const auto* right_terms = static_cast<const typename Storage::Element*>(b);
  auto* sums = static_cast<typename Storage::Element*>(y);
  const auto sum = [relu](typename V::T left, typename V::T right) {
    const typename V::T total = V::Add(left, right);
    return relu ? V::Relu(total) : total;
  };
  ForEachVector<V>(
      count,
      [&](int64_t i) {
        Storage::Store(sums + i, sum(Storage::Load(left_terms + i), Storage::Load(right_terms + i)));
      },
      [&](int64_t i, int64_t left) {
        const typename V::T term = Storage::LoadPartial(left_terms + i, left);
        Storage::StorePartial(sums + i, sum(term, Storage::LoadPartial(right_terms + i, left)), left);
      });
}

// Bytes of an image, 0 to 255.
template <class V>
struct ByteStorage {
  using Element = uint8_t;
  static inline __attribute__((always_inline)) typename V::T Load(const uint8_t* p) {
    return V::LoadBytes(p);
  }
  static inline __attribute__((always_inline)) typename V::T LoadPartial(const uint8_t* p, int64_t count) {
    return V::LoadBytesPartial(p, count);
  }
};

template <class From, class To>
inline __attribute__((always_inline)) void Affine(const typename From::Element* x, int64_t pixels,
                                                  int64_t channels, const float* scale, const float* shift,
                                                  typename To::Element* y) {
  using V = typename To::Simd;
  for (int64_t pixel = 0; pixel < pixels; ++pixel, x += channels, y += channels) {
    ForEachVector<V>(
        channels,
        [&](int64_t c) {
          To::Store(y + c, V::MulAdd(From::Load(x + c), V::Load(scale + c), V::Load(shift + c)));
        },
        [&](int64_t c, int64_t left) {
          const typename V::T factor = V::LoadPartial(scale + c, left);
          const typename V::T term = V::LoadPartial(shift + c, left);
          To::StorePartial(y + c, V::MulAdd(From::LoadPartial(x + c, left), factor, term), left);
        });
  }
}

template <class Storage>
void AffineKernel(const void* x, int64_t pixels, int64_t channels, const float* scale, const float* shift,
                  void* y) {
  using Element = typename Storage::Element;
  Affine<Storage, Storage>(static_cast<const Element*>(x), pixels, channels, scale, shift,
                           static_cast<Element*>(y));
}

template <class V>
void AffineBytesKernel(const uint8_t* x, int64_t pixels, int64_t channels, const float* scale,
                       const float* shift, float* y) {
  Affine<ByteStorage<V>, Float32Storage<V>>(x, pixels, channels, scale, shift, y);
}

template <class V>
void TransposeKernel(const float* x, int64_t rows, int64_t columns, int64_t x_stride, int64_t y_stride,
                     float* y) {
  constexpr int kLanes = V::kLanes;
  const int64_t whole_rows = rows / kLanes * kLanes;
  const int64_t whole_columns = columns / kLanes * kLanes;
  for (int64_t c = 0; c < whole_columns; c += kLanes) {
    for (int64_t r = 0; r < whole_rows; r += kLanes) {
      V::Transpose(x + r * x_stride + c, x_stride, y + c * y_stride + r, y_stride);
    }
  }
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t first = r < whole_rows ? whole_columns : 0;
    for (int64_t c = first; c < columns; ++c) y[c * y_stride + r] = x[r * x_stride + c];
  }
}

template <class Storage, class V = typename Storage::Simd>
constexpr ElementwiseKernels kElementwiseKernels{
    V::kIsa,
    V::kLanes,
    ReluKernel<Storage>,
    AddKernel<Storage>,
    AffineKernel<Storage>,
    WidenKernel<Storage>,
    NarrowKernel<Storage>,
    AffineBytesKernel<V>,
    TransposeKernel<V>,
};

}  // namespace
}  // namespace resnet_native::cpu
