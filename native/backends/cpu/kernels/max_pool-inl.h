#include "native/backends/cpu/kernels/kernels.h"

// The largest values under a window, a few vectors of channels at a time. A class Lanes says what a vector
// is: T, kLanes, Element, Load(p), Store(p, v), Lowest(), and Max(a, b), which is NaN if either is.

namespace resnet_native::cpu {
namespace {

// Of the window's rows, in one column of pixels.
template <int kVectors, class Lanes>
inline __attribute__((always_inline)) void LargestOfColumn(const Lanes& lanes, const MaxPoolRow& row,
                                                           int64_t element,
                                                           typename Lanes::T (&largest)[kVectors]) {
  using Element = typename Lanes::Element;
  const auto* const* rows = reinterpret_cast<const Element* const*>(row.rows);
  for (int i = 0; i < kVectors; ++i) largest[i] = lanes.Load(rows[0] + element + i * Lanes::kLanes);
  for (int64_t r = 1; r < row.row_count; ++r) {
    for (int i = 0; i < kVectors; ++i) {
      largest[i] = lanes.Max(lanes.Load(rows[r] + element + i * Lanes::kLanes), largest[i]);
    }
  }
}

// The whole row of results, for kVectors vectors from channel c on. Windows that overlap by one column, as
// 3×3 with stride 2, read it once.
template <int kVectors, class Lanes>
inline __attribute__((always_inline)) void PoolChannels(const Lanes& lanes, const MaxPoolRow& row,
                                                        int64_t c) {
  using T = typename Lanes::T;
  const bool overlap = row.kernel == row.stride + 1 && row.dilation == 1;
  const int64_t width = row.row_count > 0 ? row.width : 0;
  auto* y = static_cast<typename Lanes::Element*>(row.y) + c;
  T column[kVectors], largest[kVectors];
  for (int i = 0; i < kVectors; ++i) column[i] = lanes.Lowest();
  for (int64_t p = 0; p < row.y_width; ++p, y += row.channels) {
    const int64_t first = p * row.stride - row.pad;
    const bool is_known = overlap && p > 0 && first >= 0 && first < width;
    for (int i = 0; i < kVectors; ++i) largest[i] = is_known ? column[i] : lanes.Lowest();
    for (int64_t k = is_known ? 1 : 0; k < row.kernel; ++k) {
      const int64_t w = first + k * row.dilation;
      if (w < 0 || w >= width) continue;
      LargestOfColumn<kVectors>(lanes, row, w * row.channels + c, column);
      for (int i = 0; i < kVectors; ++i) largest[i] = lanes.Max(column[i], largest[i]);
    }
    for (int i = 0; i < kVectors; ++i) lanes.Store(y + i * Lanes::kLanes, largest[i]);
  }
}

// As many whole vectors as there are: the first channel behind them.
template <class Lanes>
inline __attribute__((always_inline)) int64_t PoolWholeVectors(const Lanes& lanes, const MaxPoolRow& row) {
  constexpr int kVectors = 4;
  int64_t c = 0;
  for (; c + kVectors * Lanes::kLanes <= row.channels; c += kVectors * Lanes::kLanes) {
    PoolChannels<kVectors>(lanes, row, c);
  }
  for (; c + Lanes::kLanes <= row.channels; c += Lanes::kLanes) PoolChannels<1>(lanes, row, c);
  return c;
}

}  // namespace
}  // namespace resnet_native::cpu
