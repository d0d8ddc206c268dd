#include "native/backends/cpu/input_planes.h"

#include <algorithm>
#include <cstring>

namespace resnet_native::cpu {
namespace {

// Tile rows are 64 bytes: reading one may go this far beyond a pixel, to padding.
constexpr int64_t kReadBeyond = 64;

// For the few hundred bytes of a pixel a call would take longer than the copy.
void CopyBytes(const char* from, int64_t count, char* to) {
  int64_t i = 0;
  for (; i + kCacheLine <= count; i += kCacheLine) std::memcpy(to + i, from + i, kCacheLine);
  if (i < count) std::memcpy(to + i, from + i, count - i);
}

}  // namespace

InputPlanes::InputPlanes(const Window& window, int64_t channels, int64_t element, int64_t channel_multiple,
                         bool join_columns, char padding)
    : window_(window),
      channels_(channels),
      element_(element),
      padded_channels_(join_columns ? channels : RoundUp(channels, channel_multiple)),
      joined_(join_columns),
      padding_(padding),
      column_planes_(join_columns ? 1 : window.stride_w),
      used_rows_(window.stride_h, false),
      used_columns_(column_planes_, false) {
  for (int ky = 0; ky < window.kernel_h; ++ky) {
    for (int kx = 0; kx < (joined_ ? 1 : window.kernel_w); ++kx) {
      const int h = ky * window.dilation_h, w = kx * window.dilation_w;
      taps_.push_back(
          {h % window.stride_h, w % column_planes_, h / window.stride_h, joined_ ? 0 : w / window.stride_w});
      const Tap& tap = taps_.back();
      used_rows_[tap.row_remainder] = true;
      used_columns_[tap.column_remainder] = true;
      last_row_ = std::max(last_row_, tap.row);
      last_column_ = std::max(last_column_, tap.column);
    }
  }
  // A joined tap reads its whole row of the kernel, which may end some pixels further.
  if (joined_) last_column_ = CeilDiv(window.kernel_w, window.stride_w);
}

// As many columns as are padding at a row's end and again at the start of the next.
int64_t InputPlanes::SharedColumns(int64_t y_w, int64_t x_w) const {
  if (joined_) return 0;
  for (int64_t shared = last_column_; shared > 0; --shared) {
    bool padding = true;
    for (int remainder = 0; remainder < column_planes_; ++remainder) {
      if (!used_columns_[remainder]) continue;
      const int64_t end = (y_w + last_column_ - shared) * window_.stride_w + remainder - window_.pad_w;
      const int64_t start = (shared - 1) * window_.stride_w + remainder - window_.pad_w;
      padding = padding && end >= x_w && start < 0;
    }
    if (padding) return shared;
  }
  return 0;
}

InputPlanes::Layout InputPlanes::LayoutFor(int64_t rows, int64_t y_w, int64_t x_w) const {
  Layout layout{};
  layout.rows = rows;
  layout.pitch = y_w + last_column_ - SharedColumns(y_w, x_w);
  layout.plane_rows = rows + last_row_;
  layout.pixel_bytes = padded_channels_ * element_ * (joined_ ? window_.stride_w : 1);
  layout.row_bytes = layout.pitch * layout.pixel_bytes;
  const int64_t pixels = layout.plane_rows * layout.pitch + last_column_;
  layout.plane_bytes = RoundUp(pixels * layout.pixel_bytes + kReadBeyond, kCacheLine);
  layout.pixels = (rows - 1) * layout.pitch + y_w;
  const auto planes = static_cast<int64_t>(used_rows_.size()) * column_planes_;
  layout.bytes = static_cast<size_t>(planes * layout.plane_bytes);
  for (const Tap& tap : taps_) {
    const int64_t plane = int64_t{tap.row_remainder} * column_planes_ + tap.column_remainder;
    layout.taps.push_back(plane * layout.plane_bytes + tap.row * layout.row_bytes +
                          tap.column * layout.pixel_bytes);
  }
  return layout;
}

size_t InputPlanes::RowBufferBytes(int64_t w) const {
  return static_cast<size_t>(RoundUp(w * channels_ * element_, kCacheLine));
}

// Row `row` of the planes of one remainder; `from` is null for padding.
void InputPlanes::SpreadRow(const Layout& layout, const char* from, int64_t w, int64_t row, int row_remainder,
                            char* planes) const {
  const bool last = row + 1 == layout.plane_rows;
  const int64_t length = layout.row_bytes + (last ? last_column_ * layout.pixel_bytes + kReadBeyond : 0);
  for (int remainder = 0; remainder < column_planes_; ++remainder) {
    if (!used_columns_[remainder]) continue;
    const int64_t plane = int64_t{row_remainder} * column_planes_ + remainder;
    char* to = planes + plane * layout.plane_bytes + row * layout.row_bytes;
    if (from) {
      SpreadColumns(from, w, remainder, length, to);
    } else {
      std::memset(to, padding_, length);
    }
  }
}

// What one plane takes of an input row, `length` bytes with the padding around it.
void InputPlanes::SpreadColumns(const char* from, int64_t w, int remainder, int64_t length, char* to) const {
  const int64_t input_pixel = channels_ * element_, pixel = padded_channels_ * element_;
  const int64_t step = joined_ ? 1 : window_.stride_w;
  // The first of the plane's columns that is inside, and the first behind it.
  const int64_t begin = CeilDiv(std::max<int64_t>(window_.pad_w - remainder, 0), step);
  const int64_t behind = CeilDiv(std::max<int64_t>(w + window_.pad_w - remainder, 0), step);
  const int64_t end = std::clamp<int64_t>(behind, begin, std::max(begin, length / pixel));
  std::memset(to, padding_, std::min(begin * pixel, length));
  if (begin * pixel >= length) return;
  const char* x = from + (begin * step + remainder - window_.pad_w) * input_pixel;
  if (step == 1 && pixel == input_pixel) {
    std::memcpy(to + begin * pixel, x, (end - begin) * pixel);
  } else {
    for (int64_t i = begin; i < end; ++i, x += step * input_pixel) {
      CopyBytes(x, input_pixel, to + i * pixel);
      if (pixel > input_pixel) std::memset(to + i * pixel + input_pixel, padding_, pixel - input_pixel);
    }
  }
  std::memset(to + end * pixel, padding_, length - end * pixel);
}

}  // namespace resnet_native::cpu
