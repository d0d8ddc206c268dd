#include "native/backends/cpu/kernels/kernels.h"
#include "native/backends/cpu/kernels/storage-inl.h"
#include "native/backends/cpu/kernels/unroll.h"

// Winograd's transforms for 3×3 filters (Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks"), for the vector type V of a simd_*.h: every lane is a channel. Included by one file for each
// instruction set.

namespace resnet_native::cpu {
namespace {

// A tile of 4×4 outputs from 6×6 inputs: points 0, ±1/√2, ±√2 and infinity. The usual 0, ±1, ±2 cost the same
// and round four times worse, because their powers differ more.
template <class V>
struct WinogradF4 {
  using T = typename V::T;
  static constexpr int kPoints = 6, kOutputs = 4;

  static inline __attribute__((always_inline)) T Times(float factor, T x, T sum) {
    return V::MulAdd(x, V::Broadcast(&factor), sum);
  }

  // Bᵀ d.
  static inline __attribute__((always_inline)) void Input(const T (&d)[6], T (&v)[6]) {
    constexpr float kRoot = 1.41421356f, kHalfRoot = 0.70710678f;
    v[0] = V::Add(d[0], Times(-2.5f, d[2], d[4]));
    v[5] = V::Add(d[1], Times(-2.5f, d[3], d[5]));
    const T even_near = Times(-2.0f, d[2], d[4]);
    const T odd_near = Times(kHalfRoot, d[3], Times(-kRoot, d[1], V::Zero()));
    v[1] = V::Add(even_near, odd_near);
    v[2] = Times(-1.0f, odd_near, even_near);
    const T even_far = Times(-0.5f, d[2], d[4]);
    const T odd_far = Times(kRoot, d[3], Times(-kHalfRoot, d[1], V::Zero()));
    v[3] = V::Add(even_far, odd_far);
    v[4] = Times(-1.0f, odd_far, even_far);
  }

  // Aᵀ m.
  static inline __attribute__((always_inline)) void Output(const T (&m)[6], T (&y)[4]) {
    constexpr float kRoot = 1.41421356f, kHalfRoot = 0.70710678f;
    const T near_sum = V::Add(m[1], m[2]), near_difference = Times(-1.0f, m[2], m[1]);
    const T far_sum = V::Add(m[3], m[4]), far_difference = Times(-1.0f, m[4], m[3]);
    y[0] = V::Add(m[0], V::Add(near_sum, far_sum));
    y[1] = Times(kRoot, far_difference, Times(kHalfRoot, near_difference, V::Zero()));
    y[2] = Times(2.0f, far_sum, Times(0.5f, near_sum, V::Zero()));
    y[3] = Times(2 * kRoot, far_difference, Times(0.5f * kHalfRoot, near_difference, m[5]));
  }
};

// A tile of 2×2 outputs from 4×4 inputs: points 0, ±1 and infinity.
template <class V>
struct WinogradF2 {
  using T = typename V::T;
  static constexpr int kPoints = 4, kOutputs = 2;

  static inline __attribute__((always_inline)) T Minus(T a, T b) {
    constexpr float kMinusOne = -1.0f;
    return V::MulAdd(b, V::Broadcast(&kMinusOne), a);
  }

  static inline __attribute__((always_inline)) void Input(const T (&d)[4], T (&v)[4]) {
    v[0] = Minus(d[2], d[0]);
    v[1] = V::Add(d[2], d[1]);
    v[2] = Minus(d[2], d[1]);
    v[3] = Minus(d[3], d[1]);
  }

  static inline __attribute__((always_inline)) void Output(const T (&m)[4], T (&y)[2]) {
    y[0] = V::Add(m[0], V::Add(m[1], m[2]));
    y[1] = V::Add(Minus(m[1], m[2]), m[3]);
  }
};

// One vector of channels of one tile: columns first, then rows.
template <class V, class F, class LoadPixel>
inline __attribute__((always_inline)) void TransformInputVector(float* v, int64_t position_stride,
                                                                LoadPixel load) {
  using T = typename V::T;
  T columns[F::kPoints][F::kPoints];
  RESNET_NATIVE_UNROLL for (int j = 0; j < F::kPoints; ++j) {
    T d[F::kPoints], transformed[F::kPoints];
    RESNET_NATIVE_UNROLL for (int i = 0; i < F::kPoints; ++i) d[i] = load(i * F::kPoints + j);
    F::Input(d, transformed);
    RESNET_NATIVE_UNROLL for (int i = 0; i < F::kPoints; ++i) columns[i][j] = transformed[i];
  }
  RESNET_NATIVE_UNROLL for (int i = 0; i < F::kPoints; ++i) {
    T transformed[F::kPoints];
    F::Input(columns[i], transformed);
    RESNET_NATIVE_UNROLL for (int j = 0; j < F::kPoints; ++j) {
      V::Store(v + (i * F::kPoints + j) * position_stride, transformed[j]);
    }
  }
}

template <class Storage, class F>
void WinogradInput(const char* const* pixels, int64_t channels, float* v, int64_t position_stride) {
  using V = typename Storage::Simd;
  const auto* x = reinterpret_cast<const typename Storage::Element* const*>(pixels);
  int64_t c = 0;
  for (; c + V::kLanes <= channels; c += V::kLanes) {
    TransformInputVector<V, F>(v + c, position_stride, [&](int i) { return Storage::Load(x[i] + c); });
  }
  if (c == channels) return;
  TransformInputVector<V, F>(v + c, position_stride,
                             [&](int i) { return Storage::LoadPartial(x[i] + c, channels - c); });
}

template <class V, class F>
inline __attribute__((always_inline)) void TransformOutputVector(
    const WinogradOutputTile& tile, int64_t c, typename V::T (&y)[F::kOutputs][F::kOutputs]) {
  using T = typename V::T;
  T columns[F::kOutputs][F::kPoints];
  RESNET_NATIVE_UNROLL for (int j = 0; j < F::kPoints; ++j) {
    T m[F::kPoints], transformed[F::kOutputs];
    RESNET_NATIVE_UNROLL for (int i = 0; i < F::kPoints; ++i) {
      m[i] = V::Load(tile.m + (i * F::kPoints + j) * tile.position_stride + c);
    }
    F::Output(m, transformed);
    RESNET_NATIVE_UNROLL for (int i = 0; i < F::kOutputs; ++i) columns[i][j] = transformed[i];
  }
  const T bias = V::Load(tile.bias + c);
  RESNET_NATIVE_UNROLL for (int i = 0; i < F::kOutputs; ++i) {
    F::Output(columns[i], y[i]);
    RESNET_NATIVE_UNROLL for (int j = 0; j < F::kOutputs; ++j) y[i][j] = V::Add(y[i][j], bias);
  }
}

template <class Storage, class F>
void WinogradOutput(const WinogradOutputTile& tile) {
  using V = typename Storage::Simd;
  using T = typename V::T;
  const auto* residual = static_cast<const typename Storage::Element*>(tile.residual);
  auto* to = static_cast<typename Storage::Element*>(tile.y);
  for (int64_t c = 0; c < tile.channels; c += V::kLanes) {
    const int64_t lanes = tile.channels - c < V::kLanes ? tile.channels - c : V::kLanes;
    T y[F::kOutputs][F::kOutputs];
    TransformOutputVector<V, F>(tile, c, y);
    for (int i = 0; i < tile.rows; ++i) {
      for (int j = 0; j < tile.columns; ++j) {
        const int64_t offset = i * tile.row_stride + j * tile.pixel_stride + c;
        T value = y[i][j];
        if (lanes == V::kLanes) {
          if (residual) value = V::Add(value, Storage::Load(residual + offset));
          Storage::Store(to + offset, tile.relu ? V::Relu(value) : value);
        } else {
          if (residual) value = V::Add(value, Storage::LoadPartial(residual + offset, lanes));
          Storage::StorePartial(to + offset, tile.relu ? V::Relu(value) : value, lanes);
        }
      }
    }
  }
}

template <class Storage, class V = typename Storage::Simd>
constexpr WinogradKernels kWinogradKernels = {
    {WinogradInput<Storage, WinogradF2<V>>, WinogradInput<Storage, WinogradF4<V>>},
    {WinogradOutput<Storage, WinogradF2<V>>, WinogradOutput<Storage, WinogradF4<V>>},
};

}  // namespace
}  // namespace resnet_native::cpu
