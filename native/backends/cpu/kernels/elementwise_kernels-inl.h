#include "native/backends/cpu/kernels/kernels.h"

// What touches each element once, for the vector type V of a simd_*.h.

namespace resnet_native::cpu {
namespace {

// Calls whole(i) for each whole vector of `count` elements, and rest(i, left) for what is left.
template <class V, class Whole, class Rest>
inline __attribute__((always_inline)) void ForEachVector(int64_t count, Whole whole, Rest rest) {
  int64_t i = 0;
  for (; i + V::kLanes <= count; i += V::kLanes) whole(i);
  if (i < count) rest(i, count - i);
}

template <class V>
void ReluKernel(const float* x, int64_t count, float* y) {
  ForEachVector<V>(
      count, [&](int64_t i) { V::Store(y + i, V::Relu(V::Load(x + i))); },
      [&](int64_t i, int64_t left) { V::StorePartial(y + i, V::Relu(V::LoadPartial(x + i, left)), left); });
}

template <class V>
void AddKernel(const float* a, const float* b, int64_t count, bool relu, float* y) {
  const auto sum = [relu](typename V::T left, typename V::T right) {
    const typename V::T total = V::Add(left, right);
    return relu ? V::Relu(total) : total;
  };
  ForEachVector<V>(
      count, [&](int64_t i) { V::Store(y + i, sum(V::Load(a + i), V::Load(b + i))); },
      [&](int64_t i, int64_t left) {
        V::StorePartial(y + i, sum(V::LoadPartial(a + i, left), V::LoadPartial(b + i, left)), left);
      });
}

template <class V>
inline __attribute__((always_inline)) typename V::T LoadAsFloat(const float* p) {
  return V::Load(p);
}
template <class V>
inline __attribute__((always_inline)) typename V::T LoadAsFloat(const uint8_t* p) {
  return V::LoadBytes(p);
}
template <class V>
inline __attribute__((always_inline)) typename V::T LoadAsFloatPartial(const float* p, int64_t count) {
  return V::LoadPartial(p, count);
}
template <class V>
inline __attribute__((always_inline)) typename V::T LoadAsFloatPartial(const uint8_t* p, int64_t count) {
  return V::LoadBytesPartial(p, count);
}

template <class V, class Element>
void AffineKernel(const Element* x, int64_t pixels, int64_t channels, const float* scale, const float* shift,
                  float* y) {
  for (int64_t pixel = 0; pixel < pixels; ++pixel, x += channels, y += channels) {
    ForEachVector<V>(
        channels,
        [&](int64_t c) {
          V::Store(y + c, V::MulAdd(LoadAsFloat<V>(x + c), V::Load(scale + c), V::Load(shift + c)));
        },
        [&](int64_t c, int64_t left) {
          const typename V::T factor = V::LoadPartial(scale + c, left);
          const typename V::T term = V::LoadPartial(shift + c, left);
          V::StorePartial(y + c, V::MulAdd(LoadAsFloatPartial<V>(x + c, left), factor, term), left);
        });
  }
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

template <class V>
constexpr ElementwiseKernels kElementwiseKernels{V::kIsa,
                                                 V::kLanes,
                                                 ReluKernel<V>,
                                                 AddKernel<V>,
                                                 AffineKernel<V, float>,
                                                 AffineKernel<V, uint8_t>,
                                                 TransposeKernel<V>};

}  // namespace
}  // namespace resnet_native::cpu
