#include "native/backends/cpu/kernels/kernels.h"
#include "native/backends/cpu/kernels/storage-inl.h"

// Micro-kernels of convolution over a way to multiply, Dot, which knows
//   Simd, Storage  vectors of floats, and how the elements of x, y and the residual come into them
//   kDepth         neighbouring channels that one step multiplies
//   Weight, Weights, LoadWeights  the element type of packed weights, and a vector of them × kDepth
//   Factor, Broadcast, BroadcastPartial  kDepth channels of a pixel, or those that are left and zeros
//   MulAdd         sum + Σ factor × weights
// Included by one file for each instruction set.

namespace resnet_native::cpu {
namespace {

#define RESNET_NATIVE_UNROLL _Pragma("GCC unroll 16")

template <class V>
struct Float32Dot {
  using Simd = V;
  using Storage = Float32Storage<V>;
  using T = typename V::T;
  using Weight = float;
  using Weights = T;
  using Factor = T;
  static constexpr int kDepth = 1;
  static constexpr bool kResumes = true;

  static inline __attribute__((always_inline)) T LoadWeights(const float* p) { return V::Load(p); }
  static inline __attribute__((always_inline)) T Broadcast(const float* p) { return V::Broadcast(p); }
  static inline __attribute__((always_inline)) T BroadcastPartial(const float* p, int64_t) {
    return V::Broadcast(p);
  }
  static inline __attribute__((always_inline)) T MulAdd(T factor, T weights, T sum) {
    return V::MulAdd(factor, weights, sum);
  }
};

// The sums of a tile. They live in registers from the first to the last tap.
template <class Storage, int kPixels, int kBlocks>
struct Accumulators {
  using V = typename Storage::Simd;
  using T = typename V::T;
  using Element = typename Storage::Element;
  T sum[kPixels][kBlocks];

  inline __attribute__((always_inline)) void StartFromBias(const float* bias) {
    RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) {
      const T start = V::Load(bias + b * V::kLanes);
      RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels; ++i) sum[i][b] = start;
    }
  }

  inline __attribute__((always_inline)) void StartFromPartialSums(const ConvTile& tile) {
    ForEach(tile, [&](int i, int b, Element* y, const Element*) { sum[i][b] = LoadBlock(tile, b, y); });
  }

  inline __attribute__((always_inline)) void AddResidual(const ConvTile& tile) {
    ForEach(tile, [&](int i, int b, Element*, const Element* residual) {
      sum[i][b] = V::Add(sum[i][b], LoadBlock(tile, b, residual));
    });
  }

  inline __attribute__((always_inline)) void Relu() {
    RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels; ++i) {
      RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) sum[i][b] = V::Relu(sum[i][b]);
    }
  }

  inline __attribute__((always_inline)) void Store(const ConvTile& tile) {
    if (sizeof(Element) == sizeof(float) || tile.float_y) {
      StoreAs<Float32Storage<V>>(tile);
    } else {
      StoreAs<Storage>(tile);
    }
  }

 private:
  template <class Result>
  inline __attribute__((always_inline)) void StoreAs(const ConvTile& tile) {
    ForEach<typename Result::Element>(
        tile, [&](int i, int b, typename Result::Element* y, const typename Result::Element*) {
          if (IsWhole(tile, b)) {
            Result::Store(y, sum[i][b]);
          } else {
            Result::StorePartial(y, sum[i][b], tile.last_lanes);
          }
        });
  }
  static inline __attribute__((always_inline)) bool IsWhole(const ConvTile& tile, int b) {
    return b + 1 < kBlocks || tile.last_lanes == V::kLanes;
  }
  static inline __attribute__((always_inline)) T LoadBlock(const ConvTile& tile, int b, const Element* p) {
    return IsWhole(tile, b) ? Storage::Load(p) : Storage::LoadPartial(p, tile.last_lanes);
  }
  template <class E = Element, class Body>
  static inline __attribute__((always_inline)) void ForEach(const ConvTile& tile, Body body) {
    RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels; ++i) {
      RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) {
        const int64_t offset = i * tile.y_stride + b * V::kLanes;
        body(i, b, static_cast<E*>(tile.y) + offset, static_cast<const E*>(tile.residual) + offset);
      }
    }
  }
};

// One step of the sum for all pixels; `left` of its kDepth channels are there.
template <class Dot, int kPixels, int kBlocks>
inline __attribute__((always_inline)) void MultiplyAdd(
    const typename Dot::Storage::Element* const (&x)[kPixels], int64_t channel, int64_t left,
    const typename Dot::Weight* weights, Accumulators<typename Dot::Storage, kPixels, kBlocks>& acc) {
  constexpr int kLanes = Dot::Simd::kLanes;
  typename Dot::Weights w[kBlocks];
  RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) {
    w[b] = Dot::LoadWeights(weights + b * kLanes * Dot::kDepth);
  }
  RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels; ++i) {
    const typename Dot::Factor factor =
        left >= Dot::kDepth ? Dot::Broadcast(x[i] + channel) : Dot::BroadcastPartial(x[i] + channel, left);
    RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) {
      acc.sum[i][b] = Dot::MulAdd(factor, w[b], acc.sum[i][b]);
    }
  }
}

template <class Dot, int kPixels, int kBlocks>
void ConvTileKernel(const ConvTile& tile) {
  using Element = typename Dot::Storage::Element;
  constexpr int kDepth = Dot::kDepth;
  constexpr int kWidth = kBlocks * Dot::Simd::kLanes * kDepth;
  constexpr int kUnroll = 4, kLineBytes = 64;
  Accumulators<typename Dot::Storage, kPixels, kBlocks> acc;
  if (tile.bias) {
    acc.StartFromBias(tile.bias);
  } else {
    acc.StartFromPartialSums(tile);
  }
  const auto* weights = static_cast<const typename Dot::Weight*>(tile.weights);
  const char* prefetch = tile.prefetch;
  const int prefetch_lines = tile.prefetch_lines;
  for (int64_t tap = 0; tap < tile.taps; ++tap) {
    const Element* x[kPixels];
    RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels; ++i) {
      x[i] = reinterpret_cast<const Element*>(tile.pixels[tap * kPixels + i]) + tile.first_channel;
    }
    int64_t left = tile.channels;
    for (; left >= kUnroll * kDepth; left -= kUnroll * kDepth) {
      RESNET_NATIVE_UNROLL for (int k = 0; k < kUnroll; ++k) {
        MultiplyAdd<Dot, kPixels, kBlocks>(x, k * kDepth, kDepth, weights + k * kWidth, acc);
      }
      weights += kUnroll * kWidth;
      RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels; ++i) x[i] += kUnroll * kDepth;
      for (int line = 0; line < prefetch_lines; ++line, prefetch += kLineBytes) {
        __builtin_prefetch(prefetch, 0, 2);  // to the second-level cache: from there they come in time
      }
    }
    for (int64_t k = 0; k < left; k += kDepth, weights += kWidth) {
      MultiplyAdd<Dot, kPixels, kBlocks>(x, k, left - k, weights, acc);
    }
  }
  if (tile.residual) acc.AddResidual(tile);
  if (tile.relu) acc.Relu();
  acc.Store(tile);
}

// Each lane has its own filters: for every channel j of the group, lane l takes channel j of the group that l
// is in.
template <class Storage, int kGroup, int kIndex = 0>
inline __attribute__((always_inline)) typename Storage::T GroupMultiplyAdd(
    const typename Storage::Element* pixel, typename Storage::T x, const typename Storage::T (&w)[kGroup],
    typename Storage::T sum) {
  using V = typename Storage::Simd;
  if constexpr (kIndex == kGroup) {
    return sum;
  } else {
    typename V::T value;
    if constexpr (kGroup == V::kLanes) {
      value = Storage::Broadcast(pixel + kIndex);
    } else {
      value = V::template InGroup<kGroup, kIndex>(x);
    }
    return GroupMultiplyAdd<Storage, kGroup, kIndex + 1>(pixel, x, w, V::MulAdd(value, w[kIndex], sum));
  }
}

template <class Storage, int kGroup, int kPixels>
void GroupedTileKernel(const ConvTile& tile) {
  using V = typename Storage::Simd;
  using T = typename V::T;
  Accumulators<Storage, kPixels, 1> acc;
  acc.StartFromBias(tile.bias);
  const auto* weights = static_cast<const float*>(tile.weights);
  for (int64_t tap = 0; tap < tile.taps; ++tap, weights += kGroup * V::kLanes) {
    T w[kGroup];
    RESNET_NATIVE_UNROLL for (int j = 0; j < kGroup; ++j) w[j] = V::Load(weights + j * V::kLanes);
    RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels; ++i) {
      const auto* pixel = reinterpret_cast<const typename Storage::Element*>(tile.pixels[tap * kPixels + i]) +
                          tile.first_channel;
      const T x =
          tile.last_lanes == V::kLanes ? Storage::Load(pixel) : Storage::LoadPartial(pixel, tile.last_lanes);
      acc.sum[i][0] = GroupMultiplyAdd<Storage, kGroup>(pixel, x, w, acc.sum[i][0]);
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

// Pixels of a tile of kBlocks vectors with at most kSums sums. Each takes a register that points to it, and
// there are only so many.
template <int kSums, int kBlocks>
constexpr int kTilePixels = kSums / kBlocks < 14 ? kSums / kBlocks : 14;

template <class Dot, int kBlocks, int kMaxPixels, int kRows, int... kPixels>
constexpr void FillRow(TileTable<kMaxPixels, kRows>& table, Sequence<kPixels...>) {
  ((table.kernel[kBlocks - 1][kPixels - 1] = ConvTileKernel<Dot, kPixels, kBlocks>), ...);
}

template <class Dot, int kSums, int... kBlocks>
constexpr auto MakeConvTable(Sequence<kBlocks...>) {
  TileTable<kTilePixels<kSums, 1>, sizeof...(kBlocks)> table{};
  (FillRow<Dot, kBlocks>(table, typename MakeSequence<kTilePixels<kSums, kBlocks>>::Type()), ...);
  return table;
}

template <class Storage, int kGroup, int kMaxPixels, int kRows, int... kPixels>
constexpr void FillGroups(TileTable<kMaxPixels, kRows>& table, Sequence<kPixels...> pixels, int row = 0) {
  ((table.kernel[row][kPixels - 1] = GroupedTileKernel<Storage, kGroup, kPixels>), ...);
  if constexpr (kGroup * 2 <= Storage::Simd::kLanes) FillGroups<Storage, kGroup * 2>(table, pixels, row + 1);
}

constexpr int Log2(int value) { return value <= 1 ? 0 : 1 + Log2(value / 2); }

template <class Dot, int kSums, int kMaxBlocks, int kGroupedMaxPixels>
struct ConvTables {
  using V = typename Dot::Simd;
  static constexpr auto kConv = MakeConvTable<Dot, kSums>(typename MakeSequence<kMaxBlocks>::Type());
  static constexpr auto kGrouped = [] {
    TileTable<kGroupedMaxPixels, Log2(V::kLanes) + 1> table{};
    FillGroups<typename Dot::Storage, 1>(table, typename MakeSequence<kGroupedMaxPixels>::Type());
    return table;
  }();
  static constexpr ConvKernels kKernels{
      V::kIsa,
      Dot::kDepth,
      Dot::kResumes,
      V::kLanes,
      kMaxBlocks,
      {kTilePixels<kSums, 1>, kTilePixels<kSums, 2>, kTilePixels<kSums, 3>, kTilePixels<kSums, 4>},
      &kConv.kernel[0][0],
      kGroupedMaxPixels,
      &kGrouped.kernel[0][0]};
};

}  // namespace
}  // namespace resnet_native::cpu
