#pragma once

#include <vector>

#include "native/backends/cpu/arithmetic.h"
#include "native/backends/cpu/tensor_view.h"
#include "native/graph/graph.h"

namespace resnet_native::cpu {

// A copy of the input rows under a band of output rows, in which each tap's pixels lie at equal distances for
// all output pixels of the band: what tile units need.
//
// For a stride s there is a plane for each remainder of rows and columns by s, and in it output pixel p =
// row × pitch + column reads pixel p + shift under each tap. Rows have padding around them; what stands
// behind a row's end and before the next one's start is shared, so that few pixels are computed in vain.
//
// With joined columns a kernel's row is one tap of kernel_w × channels: then a plane's pixel is stride_w
// pixels of the input, and there are planes for the remainders of rows only.
class InputPlanes {
 public:
  // `element`: bytes. `channel_multiple`: a pixel's channels are filled up to a multiple of it. `padding`:
  // the byte that this and what lies outside the image are made of.
  InputPlanes(const Window& window, int64_t channels, int64_t element, int64_t channel_multiple,
              bool join_columns, char padding);

  int64_t taps() const { return static_cast<int64_t>(taps_.size()); }

  // How a band of `rows` output rows of width y_w lies in memory, for input of width x_w.
  struct Layout {
    int64_t rows, pitch;  // output rows; pixels from one to the next
    int64_t plane_rows;   // of a plane
    int64_t pixel_bytes;  // from one pixel to the next
    int64_t row_bytes, plane_bytes;
    int64_t pixels;             // to compute for the band
    size_t bytes;               // of all planes
    std::vector<int64_t> taps;  // offsets in bytes
  };
  Layout LayoutFor(int64_t rows, int64_t y_w, int64_t x_w) const;

  // Fills the planes for output rows [first, first + rows) of an image of h × w. copy_row(h, to) copies the
  // whole input row h, w × channels elements.
  template <class CopyRow>
  void Fill(const Layout& layout, int64_t first, int64_t h, int64_t w, char* row_buffer, char* planes,
            const CopyRow& copy_row) const;
  // What Fill needs at row_buffer.
  size_t RowBufferBytes(int64_t w) const;

 private:
  struct Tap {
    int row_remainder, column_remainder;
    int64_t row, column;
  };
  int64_t SharedColumns(int64_t y_w, int64_t x_w) const;
  int64_t InputRow(int64_t first, int row_remainder, int64_t row) const {
    return (first + row) * window_.stride_h + row_remainder - window_.pad_h;
  }
  void SpreadRow(const Layout& layout, const char* from, int64_t w, int64_t row, int row_remainder,
                 char* planes) const;
  void SpreadColumns(const char* from, int64_t w, int remainder, int64_t length, char* to) const;

  const Window window_;
  const int64_t channels_, element_, padded_channels_;
  const bool joined_;
  const char padding_;
  int column_planes_ = 1;
  std::vector<bool> used_rows_;  // by remainder
  std::vector<bool> used_columns_;
  int64_t last_row_ = 0, last_column_ = 0;  // of all taps
  std::vector<Tap> taps_;
};

template <class CopyRow>
void InputPlanes::Fill(const Layout& layout, int64_t first, int64_t h, int64_t w, char* row_buffer,
                       char* planes, const CopyRow& copy_row) const {
  for (int remainder = 0; remainder < static_cast<int>(used_rows_.size()); ++remainder) {
    if (!used_rows_[remainder]) continue;
    for (int64_t row = 0; row < layout.plane_rows; ++row) {
      const int64_t input_row = InputRow(first, remainder, row);
      const bool inside = input_row >= 0 && input_row < h;
      SpreadRow(layout, inside ? copy_row(input_row, row_buffer) : nullptr, w, row, remainder, planes);
    }
  }
}

}  // namespace resnet_native::cpu
