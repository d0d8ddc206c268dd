#include "native/backends/cpu/kernels/accumulators-inl.h"

// Micro-kernels of convolution over a way to multiply, Dot, which knows
//   Simd, Storage  vectors of floats, and how the elements of x, y and the residual come into them
//   kDepth         neighbouring channels that one step multiplies
//   Weight, Weights, LoadWeights  the element type of packed weights, and a vector of them × kDepth
//   Factor, Broadcast, BroadcastPartial  kDepth channels of a pixel, or those that are left and zeros
//   MulAdd         sum + Σ factor × weights
// Included by one file for each instruction set.

namespace resnet_native::cpu {
namespace {

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

template <class Dot, int kSums, int kMaxBlocks>
struct ConvTables {
  using V = typename Dot::Simd;
  static constexpr auto kConv = MakeConvTable<Dot, kSums>(typename MakeSequence<kMaxBlocks>::Type());
  static constexpr ConvKernels kKernels{
      V::kIsa,
      Dot::kDepth,
      Dot::kResumes,
      V::kLanes,
      kMaxBlocks,
      {kTilePixels<kSums, 1>, kTilePixels<kSums, 2>, kTilePixels<kSums, 3>, kTilePixels<kSums, 4>},
      &kConv.kernel[0][0]};
};

}  // namespace
}  // namespace resnet_native::cpu
