#include "native/backends/cpu/kernels/accumulators-inl.h"

// Convolution in narrow groups by filters of three columns. The pixels of a row pass by once for each channel
// of a group, and what each brings is multiplied for all outputs that see it: it has to be gathered into the
// lanes a third as often, and the weights stay in registers meanwhile. One channel at a time, so that the
// multiply-adds of an output are far enough apart to overlap.

namespace resnet_native::cpu {
namespace {

constexpr int kFilterColumns = 3;

// A channel of the group for each lane: of the lane's own group where the vector holds several.
template <class Storage>
struct GatheredChannel {
  using V = typename Storage::Simd;
  typename V::Index lanes;
  const int64_t first_channel, last_lanes;

  inline __attribute__((always_inline)) explicit GatheredChannel(const GroupedTile& tile)
      : lanes(V::LoadIndex(tile.group_lanes)),
        first_channel(tile.first_channel),
        last_lanes(tile.last_lanes) {}
  inline __attribute__((always_inline)) void Next() { lanes = V::NextIndex(lanes); }
  inline __attribute__((always_inline)) typename V::T Of(const char* pixel) const {
    const auto* x = reinterpret_cast<const typename Storage::Element*>(pixel) + first_channel;
    return V::Permute(last_lanes == V::kLanes ? Storage::Load(x) : Storage::LoadPartial(x, last_lanes),
                      lanes);
  }
};

// The same where one group fills the vector.
template <class Storage>
struct SharedChannel {
  using V = typename Storage::Simd;
  int64_t channel;

  inline __attribute__((always_inline)) explicit SharedChannel(const GroupedTile& tile)
      : channel(tile.first_channel) {}
  inline __attribute__((always_inline)) void Next() { ++channel; }
  inline __attribute__((always_inline)) typename V::T Of(const char* pixel) const {
    return Storage::Broadcast(reinterpret_cast<const typename Storage::Element*>(pixel) + channel);
  }
};

// One channel of one row of the filters.
template <int kStride, int kColumns, class Storage, class Channel>
inline __attribute__((always_inline)) void AddChannel(const char* const* pixels, const Channel& channel,
                                                      const float* weights,
                                                      Accumulators<Storage, kColumns, 1>& acc) {
  using V = typename Storage::Simd;
  constexpr int kInputs = (kColumns - 1) * kStride + kFilterColumns;
  typename V::T w[kFilterColumns];
  RESNET_NATIVE_UNROLL for (int k = 0; k < kFilterColumns; ++k) w[k] = V::Load(weights + k * V::kLanes);
  _Pragma("GCC unroll 32") for (int column = 0; column < kInputs; ++column) {
    const typename V::T x = channel.Of(pixels[column]);
    RESNET_NATIVE_UNROLL for (int k = 0; k < kFilterColumns; ++k) {
      const int output = (column - k) / kStride;
      if (column < k || (column - k) % kStride != 0 || output >= kColumns) continue;
      acc.sum[output][0] = V::MulAdd(x, w[k], acc.sum[output][0]);
    }
  }
}

template <class Storage, class Channel, int kStride, int kColumns>
void GroupedTileKernel(const GroupedTile& tile) {
  constexpr int kInputs = (kColumns - 1) * kStride + kFilterColumns;
  constexpr int kWeights = kFilterColumns * Storage::Simd::kLanes;
  Accumulators<Storage, kColumns, 1> acc;
  acc.StartFromBias(tile.bias);
  if (tile.next_pixels) {
    for (int i = 0; i < kInputs; ++i) {
      __builtin_prefetch(tile.next_pixels[i] + tile.first_channel * sizeof(typename Storage::Element));
    }
  }
  const float* weights = tile.weights;
  const char* const* pixels = tile.pixels;
  for (int64_t row = 0; row < tile.rows; ++row, pixels += tile.pixel_pitch) {
    Channel channel(tile);
    for (int64_t c = 0; c < tile.channels; ++c, weights += kWeights, channel.Next()) {
      AddChannel<kStride>(pixels, channel, weights, acc);
    }
  }
  if (tile.residual) acc.AddResidual(tile);
  if (tile.relu) acc.Relu();
  acc.Store(tile);
}

template <int kMaxColumns>
struct GroupedTable {
  GroupedKernel kernel[2][2][kMaxColumns];
};

template <class Storage, int kMaxColumns, int... kColumns>
constexpr GroupedTable<kMaxColumns> MakeGroupedTable(Sequence<kColumns...>) {
  return {{{{GroupedTileKernel<Storage, GatheredChannel<Storage>, 1, kColumns>...},
            {GroupedTileKernel<Storage, GatheredChannel<Storage>, 2, kColumns>...}},
           {{GroupedTileKernel<Storage, SharedChannel<Storage>, 1, kColumns>...},
            {GroupedTileKernel<Storage, SharedChannel<Storage>, 2, kColumns>...}}}};
}

// A tile needs a register for each column and five more.
template <class Storage, int kMaxColumns>
struct GroupedTables {
  using V = typename Storage::Simd;
  static constexpr auto kTable =
      MakeGroupedTable<Storage, kMaxColumns>(typename MakeSequence<kMaxColumns>::Type());
  static constexpr GroupedKernels kKernels{V::kIsa, V::kLanes, kMaxColumns, &kTable.kernel[0][0][0]};
};

}  // namespace
}  // namespace resnet_native::cpu
