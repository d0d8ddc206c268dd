#pragma once

#include "native/backends/cpu/kernels/accumulators-inl.h"

// Micro-kernels of convolution over a way to multiply, Dot, which knows
//   Simd, Storage  vectors of floats, and how the elements of x, y and the residual come into them
//   kDepth, kRows  neighbouring channels, and pixels, that one multiply-add takes
//   Weight, Weights, LoadWeights  the element type of packed weights, and a vector of them × kDepth
//   Broadcast      the factor of kRows pixels: kDepth channels of each, or those that are left and zeros
//   kStretch, Stretch, LoadStretch  what the factors of kStretch steps are taken from: where they are, or a
//                  register that holds them
//   FactorOf<k>    the factor of step k of them
//   kKeepsStretch  a register does, and stays while the weights of the tile pass by
//   MulAdd         sum + Σ factor × weights; for two pixels, of the two sums that Exchange makes of theirs
//   Exchange       which is its own inverse
// Included by one file for each instruction set.

namespace resnet_native::cpu {
namespace {

// For machines that broadcast a factor while it comes from memory.
template <class Element>
struct StretchInMemory {
  static constexpr int kRows = 1, kStretch = 4;
  static constexpr bool kKeepsStretch = false;
  using Stretch = const Element*;
  static inline __attribute__((always_inline)) Stretch LoadStretch(const Element* const* x, int64_t channel) {
    return *x + channel;
  }
};

template <class V>
struct Float32Dot : StretchInMemory<float> {
  using Simd = V;
  using Storage = Float32Storage<V>;
  using T = typename V::T;
  using Weight = float;
  using Weights = T;
  static constexpr int kDepth = 1;
  static constexpr bool kResumes = true;

  static inline __attribute__((always_inline)) T LoadWeights(const float* p) { return V::Load(p); }
  static inline __attribute__((always_inline)) T Broadcast(const float* const* x, int64_t channel, int64_t) {
    return V::Broadcast(*x + channel);
  }
  template <int k>
  static inline __attribute__((always_inline)) T FactorOf(const float* x) {
    return V::Broadcast(x + k);
  }
  static inline __attribute__((always_inline)) T MulAdd(T factor, T weights, T sum) {
    return V::MulAdd(factor, weights, sum);
  }
};

template <class Dot, int kPixels, int kBlocks>
using DotAccumulators = Accumulators<typename Dot::Storage, kPixels, kBlocks, Dot::kRows>;

// For pixel i, and the next if two go together.
template <class Dot, class Factor, class Sums>
inline __attribute__((always_inline)) void MultiplyAddPixel(Factor factor, typename Dot::Weights weights,
                                                            Sums& sum, int i, int b) {
  if constexpr (Dot::kRows == 1) {
    sum[i][b] = Dot::MulAdd(factor, weights, sum[i][b]);
  } else {
    Dot::MulAdd(factor, weights, sum[i][b], sum[i + 1][b]);
  }
}

// One step of the sum for all pixels.
template <class Dot, int kPixels, int kBlocks, class FactorOf>
inline __attribute__((always_inline)) void MultiplyAdd(const typename Dot::Weight* weights,
                                                       DotAccumulators<Dot, kPixels, kBlocks>& acc,
                                                       FactorOf factor_of) {
  constexpr int kVector = Dot::Simd::kLanes * Dot::kDepth;
  if constexpr (Dot::kKeepsStretch) {
    RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) {
      const typename Dot::Weights w = Dot::LoadWeights(weights + b * kVector);
      RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels; i += Dot::kRows) {
        MultiplyAddPixel<Dot>(factor_of(i), w, acc.sum, i, b);
      }
    }
  } else {
    typename Dot::Weights w[kBlocks];
    RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) w[b] = Dot::LoadWeights(weights + b * kVector);
    RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels; i += Dot::kRows) {
      const auto factor = factor_of(i);
      RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) {
        MultiplyAddPixel<Dot>(factor, w[b], acc.sum, i, b);
      }
    }
  }
}

// The steps of a stretch: the numbers of Sequence, from 1.
template <class Dot, int kPixels, int kBlocks, int... kSteps>
inline __attribute__((always_inline)) void MultiplyAddStretch(const typename Dot::Storage::Element* const* x,
                                                              int64_t channel,
                                                              const typename Dot::Weight* weights,
                                                              DotAccumulators<Dot, kPixels, kBlocks>& acc,
                                                              Sequence<kSteps...>) {
  constexpr int kWidth = kBlocks * Dot::Simd::kLanes * Dot::kDepth;
  typename Dot::Stretch stretch[kPixels];
  RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels; i += Dot::kRows) {
    stretch[i] = Dot::LoadStretch(x + i, channel);
  }
  (MultiplyAdd<Dot, kPixels, kBlocks>(weights + (kSteps - 1) * kWidth, acc,
                                      [&](int i) { return Dot::template FactorOf<kSteps - 1>(stretch[i]); }),
   ...);
}

template <class Dot, int kPixels, int kBlocks>
inline __attribute__((always_inline)) void Exchange(DotAccumulators<Dot, kPixels, kBlocks>& acc) {
  if constexpr (Dot::kRows == 2) {
    RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels; i += 2) {
      RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) {
        Dot::Exchange(acc.sum[i][b], acc.sum[i + 1][b]);
      }
    }
  }
}

template <class Dot, int kPixels, int kBlocks>
void ConvTileKernel(const ConvTile& tile) {
  using Element = typename Dot::Storage::Element;
  constexpr int kDepth = Dot::kDepth, kRows = Dot::kRows;
  constexpr int kWidth = kBlocks * Dot::Simd::kLanes * kDepth;
  constexpr int kUnroll = 4, kLineBytes = 64;
  DotAccumulators<Dot, kPixels, kBlocks> acc;
  if (tile.bias) {
    acc.StartFromBias(tile.bias);
  } else {
    acc.StartFromPartialSums(tile);
  }
  Exchange<Dot, kPixels, kBlocks>(acc);
  const auto* weights = static_cast<const typename Dot::Weight*>(tile.weights);
  const char* prefetch = tile.prefetch;
  const int prefetch_lines = tile.prefetch_lines;
  for (int64_t tap = 0; tap < tile.taps; ++tap) {
    const Element* x[kPixels + kRows - 1];  // the last pixel again, where pixels go together
    RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels + kRows - 1; ++i) {
      const int pixel = i < kPixels ? i : kPixels - 1;
      x[i] = reinterpret_cast<const Element*>(tile.pixels[tap * kPixels + pixel]) + tile.first_channel;
    }
    int64_t left = tile.channels;
    for (; left >= kUnroll * kDepth; left -= kUnroll * kDepth) {
      RESNET_NATIVE_UNROLL for (int k = 0; k < kUnroll; k += Dot::kStretch) {
        MultiplyAddStretch<Dot, kPixels, kBlocks>(x, k * kDepth, weights + k * kWidth, acc,
                                                  typename MakeSequence<Dot::kStretch>::Type());
      }
      weights += kUnroll * kWidth;
      RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels + kRows - 1; ++i) x[i] += kUnroll * kDepth;
      for (int line = 0; line < prefetch_lines; ++line, prefetch += kLineBytes) {
        __builtin_prefetch(prefetch, 0, 2);  // to the second-level cache: from there they come in time
      }
    }
    for (int64_t k = 0; k < left; k += kDepth, weights += kWidth) {
      MultiplyAdd<Dot, kPixels, kBlocks>(weights, acc,
                                         [&](int i) { return Dot::Broadcast(x + i, k, left - k); });
    }
  }
  Exchange<Dot, kPixels, kBlocks>(acc);
  if (tile.residual) acc.AddResidual(tile);
  if (tile.relu) acc.Relu();
  acc.Store(tile);
}

template <int kMaxPixels, int kRows>
struct TileTable {
  ConvKernel kernel[kRows][kMaxPixels];
};

// Pixels of a tile of kBlocks vectors: for each there are kBlocks sums, and what is kept of kRows of them, in
// kVectors registers. Each takes a register that points to it besides, and there are only so many.
template <class Dot, int kVectors, int kBlocks>
constexpr int TilePixels() {
  constexpr int kPixels = kVectors * Dot::kRows / (kBlocks * Dot::kRows + (Dot::kKeepsStretch ? 1 : 0));
  return kPixels < 14 ? kPixels : 14;
}

template <class Dot, int kBlocks, int kMaxPixels, int kRows, int... kPixels>
constexpr void FillRow(TileTable<kMaxPixels, kRows>& table, Sequence<kPixels...>) {
  ((table.kernel[kBlocks - 1][kPixels - 1] = ConvTileKernel<Dot, kPixels, kBlocks>), ...);
}

template <class Dot, int kVectors, int... kBlocks>
constexpr auto MakeConvTable(Sequence<kBlocks...>) {
  TileTable<TilePixels<Dot, kVectors, 1>(), sizeof...(kBlocks)> table{};
  (FillRow<Dot, kBlocks>(table, typename MakeSequence<TilePixels<Dot, kVectors, kBlocks>()>::Type()), ...);
  return table;
}

template <class Dot, int kVectors, int kMaxBlocks>
struct ConvTables {
  using V = typename Dot::Simd;
  static constexpr auto kConv = MakeConvTable<Dot, kVectors>(typename MakeSequence<kMaxBlocks>::Type());
  static constexpr ConvKernels kKernels{V::kIsa,
                                        Dot::kDepth,
                                        Dot::kResumes,
                                        V::kLanes,
                                        kMaxBlocks,
                                        {TilePixels<Dot, kVectors, 1>(), TilePixels<Dot, kVectors, 2>(),
                                         TilePixels<Dot, kVectors, 3>(), TilePixels<Dot, kVectors, 4>()},
                                        &kConv.kernel[0][0]};
};

}  // namespace
}  // namespace resnet_native::cpu
