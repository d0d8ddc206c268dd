#include "native/backends/cpu/kernels/kernels.h"

// Micro-kernels of convolution for the vector type V of a simd_*.h. Included by one file for each instruction
// set.

namespace resnet_native::cpu {
namespace {

#define RESNET_NATIVE_UNROLL _Pragma("GCC unroll 16")

// The sums of a tile. They live in registers from the first to the last tap.
template <class V, int kPixels, int kBlocks>
struct Accumulators {
  using T = typename V::T;
  T sum[kPixels][kBlocks];

  inline __attribute__((always_inline)) void StartFromBias(const float* bias) {
    RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) {
      const T start = V::Load(bias + b * V::kLanes);
      RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels; ++i) sum[i][b] = start;
    }
  }

  inline __attribute__((always_inline)) void StartFromPartialSums(const ConvTile& tile) {
    ForEach(tile, [&](int i, int b, float* y, const float*) { sum[i][b] = LoadBlock(tile, b, y); });
  }

  inline __attribute__((always_inline)) void AddResidual(const ConvTile& tile) {
    ForEach(tile, [&](int i, int b, float*, const float* residual) {
      sum[i][b] = V::Add(sum[i][b], LoadBlock(tile, b, residual));
    });
  }

  inline __attribute__((always_inline)) void Relu() {
    RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels; ++i) {
      RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) sum[i][b] = V::Relu(sum[i][b]);
    }
  }

  inline __attribute__((always_inline)) void Store(const ConvTile& tile) {
    ForEach(tile, [&](int i, int b, float* y, const float*) {
      if (IsWhole(tile, b)) {
        V::Store(y, sum[i][b]);
      } else {
        V::StorePartial(y, sum[i][b], tile.last_lanes);
      }
    });
  }

 private:
  static inline __attribute__((always_inline)) bool IsWhole(const ConvTile& tile, int b) {
    return b + 1 < kBlocks || tile.last_lanes == V::kLanes;
  }
  static inline __attribute__((always_inline)) T LoadBlock(const ConvTile& tile, int b, const float* p) {
    return IsWhole(tile, b) ? V::Load(p) : V::LoadPartial(p, tile.last_lanes);
  }
  template <class Body>
  static inline __attribute__((always_inline)) void ForEach(const ConvTile& tile, Body body) {
    RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels; ++i) {
      RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) {
        const int64_t offset = i * tile.y_stride + b * V::kLanes;
        body(i, b, tile.y + offset, tile.residual + offset);
      }
    }
  }
};

template <class V, int kPixels, int kBlocks>
inline __attribute__((always_inline)) void MultiplyAdd(const float* const (&x)[kPixels], int64_t channel,
                                                       const float* weights,
                                                       Accumulators<V, kPixels, kBlocks>& acc) {
  typename V::T w[kBlocks];
  RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) w[b] = V::Load(weights + b * V::kLanes);
  RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels; ++i) {
    const typename V::T value = V::Broadcast(x[i] + channel);
    RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) {
      acc.sum[i][b] = V::MulAdd(value, w[b], acc.sum[i][b]);
    }
  }
}

template <class V, int kPixels, int kBlocks>
void ConvTileKernel(const ConvTile& tile) {
  constexpr int kWidth = kBlocks * V::kLanes;
  constexpr int kUnroll = 4;
  Accumulators<V, kPixels, kBlocks> acc;
  if (tile.bias) {
    acc.StartFromBias(tile.bias);
  } else {
    acc.StartFromPartialSums(tile);
  }
  const float* weights = tile.weights;
  const float* prefetch = tile.prefetch;
  for (int64_t tap = 0; tap < tile.taps; ++tap) {
    const float* x[kPixels];
    RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels; ++i) {
      x[i] = tile.pixels[tap * kPixels + i] + tile.first_channel;
    }
    int64_t left = tile.channels;
    for (; left >= kUnroll; left -= kUnroll) {
      RESNET_NATIVE_UNROLL for (int k = 0; k < kUnroll; ++k) {
        MultiplyAdd<V, kPixels, kBlocks>(x, k, weights + k * kWidth, acc);
      }
      weights += kUnroll * kWidth;
      RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels; ++i) x[i] += kUnroll;
      __builtin_prefetch(prefetch);
      prefetch += tile.prefetch_step;
    }
    for (int k = 0; k < left; ++k, weights += kWidth) MultiplyAdd<V, kPixels, kBlocks>(x, k, weights, acc);
  }
  if (tile.residual) acc.AddResidual(tile);
  if (tile.relu) acc.Relu();
  acc.Store(tile);
}

// Each lane has its own filters: for every channel j of the group, lane l takes channel j of the group that l
// is in.
template <class V, int kGroup, int kIndex = 0>
inline __attribute__((always_inline)) typename V::T GroupMultiplyAdd(const float* pixel, typename V::T x,
                                                                     const typename V::T (&w)[kGroup],
                                                                     typename V::T sum) {
  if constexpr (kIndex == kGroup) {
    return sum;
  } else {
    typename V::T value;
    if constexpr (kGroup == V::kLanes) {
      value = V::Broadcast(pixel + kIndex);
    } else {
      value = V::template InGroup<kGroup, kIndex>(x);
    }
    return GroupMultiplyAdd<V, kGroup, kIndex + 1>(pixel, x, w, V::MulAdd(value, w[kIndex], sum));
  }
}

template <class V, int kGroup, int kPixels>
void GroupedTileKernel(const ConvTile& tile) {
  using T = typename V::T;
  Accumulators<V, kPixels, 1> acc;
  acc.StartFromBias(tile.bias);
  const float* weights = tile.weights;
  for (int64_t tap = 0; tap < tile.taps; ++tap, weights += kGroup * V::kLanes) {
    T w[kGroup];
    RESNET_NATIVE_UNROLL for (int j = 0; j < kGroup; ++j) w[j] = V::Load(weights + j * V::kLanes);
    RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels; ++i) {
      const float* pixel = tile.pixels[tap * kPixels + i] + tile.first_channel;
      const T x = tile.last_lanes == V::kLanes ? V::Load(pixel) : V::LoadPartial(pixel, tile.last_lanes);
      acc.sum[i][0] = GroupMultiplyAdd<V, kGroup>(pixel, x, w, acc.sum[i][0]);
    }
  }
  if (tile.residual) acc.AddResidual(tile);
  if (tile.relu) acc.Relu();
  acc.Store(tile);
}

// Tables of instantiations: for 1, 2, … kMaxPixels pixels (and blocks, and group sizes).
template <int... kValues>
struct Sequence {};
template <int kCount, int... kValues>
struct MakeSequence : MakeSequence<kCount - 1, kCount, kValues...> {};
template <int... kValues>
struct MakeSequence<0, kValues...> {
  using Type = Sequence<kValues...>;
};

template <int kMaxPixels, int kRows>
struct TileTable {
  ConvKernel kernel[kRows][kMaxPixels];
};

template <class V, int... kPixels>
constexpr auto MakeConvTable(Sequence<kPixels...>) {
  return TileTable<sizeof...(kPixels), 2>{
      {{ConvTileKernel<V, kPixels, 1>...}, {ConvTileKernel<V, kPixels, 2>...}}};
}

template <class V, int kGroup, int kMaxPixels, int kRows, int... kPixels>
constexpr void FillGroups(TileTable<kMaxPixels, kRows>& table, Sequence<kPixels...> pixels, int row = 0) {
  ((table.kernel[row][kPixels - 1] = GroupedTileKernel<V, kGroup, kPixels>), ...);
  if constexpr (kGroup * 2 <= V::kLanes) FillGroups<V, kGroup * 2>(table, pixels, row + 1);
}

constexpr int Log2(int value) { return value <= 1 ? 0 : 1 + Log2(value / 2); }

template <class V, int kMaxPixels, int kGroupedMaxPixels>
struct ConvTables {
  static constexpr auto kConv = MakeConvTable<V>(typename MakeSequence<kMaxPixels>::Type());
  static constexpr auto kGrouped = [] {
    TileTable<kGroupedMaxPixels, Log2(V::kLanes) + 1> table{};
    FillGroups<V, 1>(table, typename MakeSequence<kGroupedMaxPixels>::Type());
    return table;
  }();
  static constexpr ConvKernels kKernels{
      V::kIsa, V::kLanes, kMaxPixels, 2, &kConv.kernel[0][0], kGroupedMaxPixels, &kGrouped.kernel[0][0]};
};

}  // namespace
}  // namespace resnet_native::cpu
