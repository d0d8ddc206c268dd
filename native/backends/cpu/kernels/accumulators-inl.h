#pragma once

#include "native/backends/cpu/kernels/kernels.h"
#include "native/backends/cpu/kernels/storage-inl.h"
#include "native/backends/cpu/kernels/unroll.h"

// What the micro-kernels of convolution share.

namespace resnet_native::cpu {
namespace {

// The sums of a tile. They live in registers from the first to the last tap. Where kRows pixels are computed
// together, the last ones may be there only for that.
template <class Storage, int kPixels, int kBlocks, int kRows = 1>
struct Accumulators {
  using V = typename Storage::Simd;
  using T = typename V::T;
  using Element = typename Storage::Element;
  static constexpr int kComputed = (kPixels + kRows - 1) / kRows * kRows;
  T sum[kComputed][kBlocks];

  inline __attribute__((always_inline)) void StartFromBias(const float* bias) {
    RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) {
      const T start = V::Load(bias + b * V::kLanes);
      RESNET_NATIVE_UNROLL for (int i = 0; i < kComputed; ++i) sum[i][b] = start;
    }
  }

  inline __attribute__((always_inline)) void StartFromPartialSums(const TileResult& tile) {
    RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) sum[kComputed - 1][b] = V::Zero();
    ForEach(tile, [&](int i, int b, Element* y, const Element*) { sum[i][b] = LoadBlock(tile, b, y); });
  }

  inline __attribute__((always_inline)) void AddResidual(const TileResult& tile) {
    ForEach(tile, [&](int i, int b, Element*, const Element* residual) {
      sum[i][b] = V::Add(sum[i][b], LoadBlock(tile, b, residual));
    });
  }

  inline __attribute__((always_inline)) void Relu() {
    RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels; ++i) {
      RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) sum[i][b] = V::Relu(sum[i][b]);
    }
  }

  inline __attribute__((always_inline)) void Store(const TileResult& tile) {
    if (sizeof(Element) == sizeof(float) || tile.float_y) {
      StoreAs<Float32Storage<V>>(tile);
    } else {
      StoreAs<Storage>(tile);
    }
  }

 private:
  template <class Result>
  inline __attribute__((always_inline)) void StoreAs(const TileResult& tile) {
    ForEach<typename Result::Element>(
        tile, [&](int i, int b, typename Result::Element* y, const typename Result::Element*) {
          if (IsWhole(tile, b)) {
            Result::Store(y, sum[i][b]);
          } else {
            Result::StorePartial(y, sum[i][b], tile.last_lanes);
          }
        });
  }
  static inline __attribute__((always_inline)) bool IsWhole(const TileResult& tile, int b) {
    return b + 1 < kBlocks || tile.last_lanes == V::kLanes;
  }
  static inline __attribute__((always_inline)) T LoadBlock(const TileResult& tile, int b, const Element* p) {
    return IsWhole(tile, b) ? Storage::Load(p) : Storage::LoadPartial(p, tile.last_lanes);
  }
  template <class E = Element, class Body>
  static inline __attribute__((always_inline)) void ForEach(const TileResult& tile, Body body) {
    RESNET_NATIVE_UNROLL for (int i = 0; i < kPixels; ++i) {
      RESNET_NATIVE_UNROLL for (int b = 0; b < kBlocks; ++b) {
        const int64_t offset = i * tile.y_stride + b * V::kLanes;
        body(i, b, static_cast<E*>(tile.y) + offset, static_cast<const E*>(tile.residual) + offset);
      }
    }
  }
};

// Tables of instantiations: for 1, 2, … kMaxPixels pixels (and blocks).
template <int... kValues>
struct Sequence {};
template <int kCount, int... kValues>
struct MakeSequence : MakeSequence<kCount - 1, kCount, kValues...> {};
template <int... kValues>
struct MakeSequence<0, kValues...> {
  using Type = Sequence<kValues...>;
};

}  // namespace
}  // namespace resnet_native::cpu
