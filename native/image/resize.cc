#include "native/image/resize.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "native/error.h"
#include "native/image/filter.h"
#include "native/image/passes.h"

namespace resnet_native {
namespace {

constexpr int64_t kChannels = 3;

void CheckSide(const char* name, int64_t side) {
  if (side >= 1 && side <= kMaxImageSide) return;
  throw Error(ErrorCode::kInvalidShape, "Expected from 1 to " + std::to_string(kMaxImageSide) +
                                            " pixels for " + name + " but received " + std::to_string(side));
}

void CheckOffset(const char* name, int64_t offset) {
  if (offset >= -kMaxImageSide && offset <= kMaxImageSide) return;
  throw Error(ErrorCode::kInvalidShape, "Expected an offset of at most " + std::to_string(kMaxImageSide) +
                                            " pixels either way for " + name + " but received " +
                                            std::to_string(offset));
}

// The part of one axis of the crop that shows the image: resized pixels [begin, end).
struct Visible {
  int64_t begin, end;
  bool empty() const { return begin >= end; }
  int64_t size() const { return end - begin; }
};

Visible VisiblePart(int64_t offset, int64_t crop, int64_t resized) {
  return {std::max<int64_t>(offset, 0), std::min(offset + crop, resized)};
}

struct Image {
  std::span<const uint8_t> pixels;
  int64_t row_bytes;

  const uint8_t* Row(int64_t y) const { return pixels.data() + y * row_bytes; }
};

// The image's rows [begin, end) after the horizontal pass, made when asked for, a few ahead. Rows are asked
// for in order, going back by less than `window` rows: little more than those are in memory at a time, which
// keeps them in the nearest caches.
class NarrowedRows {
 public:
  NarrowedRows(const Image& image, const Filter& across, int64_t window, int64_t end)
      : image_(image),
        across_(across),
        kept_(window + kRowsAtOnce - 1),
        end_(end),
        stride_(across.first.size() * kChannels + kRowSlack),
        ring_(kept_ * stride_) {}

  const uint8_t* Row(int64_t y) {
    if (y >= next_) Narrow(y);
    return Slot(y);
  }

 private:
  uint8_t* Slot(int64_t y) { return &ring_[y % kept_ * stride_]; }

  // Rows from y on: kRowsAtOnce of them, but near the image's end one.
  void Narrow(int64_t y) {
    const bool is_inside = y + kRowsAtOnce <= end_ && HasSlack(y + kRowsAtOnce - 1);
    const int64_t count = is_inside ? kRowsAtOnce : 1;
    std::array<const uint8_t*, kRowsAtOnce> rows;
    std::array<uint8_t*, kRowsAtOnce> outs;
    for (int64_t i = 0; i < count; ++i) {
      rows[i] = WithSlack(y + i);
      outs[i] = Slot(y + i);
    }
    BestPasses().horizontal(across_, rows.data(), count, outs.data());
    next_ = y + count;
  }

  bool HasSlack(int64_t y) const {
    const uint8_t* image_end = image_.pixels.data() + image_.pixels.size();
    return image_end - image_.Row(y) >= image_.row_bytes + static_cast<ptrdiff_t>(kRowSlack);
  }

  // The image's row, where kRowSlack more bytes can be read: the last rows are copied to a place that has
  // them.
  const uint8_t* WithSlack(int64_t y) {
    if (HasSlack(y)) return image_.Row(y);
    last_row_.resize(image_.row_bytes + kRowSlack);
    std::memcpy(last_row_.data(), image_.Row(y), image_.row_bytes);
    return last_row_.data();
  }

  Image image_;
  const Filter& across_;
  int64_t kept_;
  int64_t end_;
  size_t stride_;
  std::vector<uint8_t> ring_;
  std::vector<uint8_t> last_row_;
  int64_t next_ = 0;
};

void HorizontalFirst(const Image& image, const Filter& across, const Filter& down, uint8_t* out,
                     size_t out_stride) {
  NarrowedRows narrowed(image, across, down.stride, int64_t{down.first.back()} + down.count.back());
  std::vector<const uint8_t*> rows(down.stride);
  for (size_t y = 0; y < down.first.size(); ++y, out += out_stride) {
    for (int32_t k = 0; k < down.count[y]; ++k) rows[k] = narrowed.Row(int64_t{down.first[y]} + k);
    BestPasses().vertical(&down.weights[y * down.stride], rows.data(), down.count[y], 0,
                          across.first.size() * kChannels, out);
  }
}

void VerticalFirst(const Image& image, const Filter& across, const Filter& down, uint8_t* out,
                   size_t out_stride) {
  std::vector<uint8_t> lowered(image.row_bytes + kRowSlack);
  std::vector<uint8_t> narrowed(across.first.size() * kChannels + kRowSlack);
  std::vector<const uint8_t*> rows(down.stride);
  const size_t begin = across.first.front() * kChannels;
  const size_t end = (int64_t{across.first.back()} + across.count.back()) * kChannels;
  for (size_t y = 0; y < down.first.size(); ++y, out += out_stride) {
    for (int32_t k = 0; k < down.count[y]; ++k) rows[k] = image.Row(int64_t{down.first[y]} + k);
    BestPasses().vertical(&down.weights[y * down.stride], rows.data(), down.count[y], begin, end,
                          lowered.data());
    const uint8_t* row = lowered.data();
    uint8_t* narrow = narrowed.data();
    BestPasses().horizontal(across, &row, 1, &narrow);
    std::memcpy(out, narrow, narrowed.size() - kRowSlack);
  }
}

}  // namespace

size_t CheckResizeCrop(size_t pixel_bytes, int64_t height, int64_t width,
                       const ResizeCropGeometry& geometry) {
  CheckSide("the image's height", height);
  CheckSide("the image's width", width);
  CheckSide("the resized height", geometry.resized_height);
  CheckSide("the resized width", geometry.resized_width);
  CheckSide("the crop's height", geometry.crop_height);
  CheckSide("the crop's width", geometry.crop_width);
  CheckOffset("the crop's top", geometry.top);
  CheckOffset("the crop's left", geometry.left);
  if (pixel_bytes != static_cast<uint64_t>(height * width * kChannels)) {
    throw Error(ErrorCode::kInvalidShape, "Expected " + std::to_string(height * width * kChannels) +
                                              " bytes for an RGB image of " + std::to_string(width) + "x" +
                                              std::to_string(height) + " pixels but received " +
                                              std::to_string(pixel_bytes));
  }
  return geometry.crop_height * geometry.crop_width * kChannels;
}

void ResizeCrop(std::span<const uint8_t> pixels, int64_t height, int64_t width,
                const ResizeCropGeometry& geometry, std::span<uint8_t> out) {
  if (out.size() != CheckResizeCrop(pixels.size(), height, width, geometry)) {
    throw Error(ErrorCode::kInvalidShape, "The output's size is not that of the crop");
  }
  const Visible rows = VisiblePart(geometry.top, geometry.crop_height, geometry.resized_height);
  const Visible columns = VisiblePart(geometry.left, geometry.crop_width, geometry.resized_width);
  if (rows.size() != geometry.crop_height || columns.size() != geometry.crop_width) std::ranges::fill(out, 0);
  if (rows.empty() || columns.empty()) return;

  try {
    const Filter across = BilinearFilter(width, geometry.resized_width, columns.begin, columns.end);
    const Filter down = BilinearFilter(height, geometry.resized_height, rows.begin, rows.end);
    const Image image{pixels, width * kChannels};
    const size_t crop_row = geometry.crop_width * kChannels;
    uint8_t* to =
        out.data() + (rows.begin - geometry.top) * crop_row + (columns.begin - geometry.left) * kChannels;
    const auto resize = IsVerticalFirst(height, width, geometry) ? VerticalFirst : HorizontalFirst;
    resize(image, across, down, to, crop_row);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory, "Not enough memory to resize an image of " + std::to_string(width) +
                                             "x" + std::to_string(height) +
                                             " pixels; make `resizeSize` smaller");
  } catch (const std::length_error&) {
    throw Error(ErrorCode::kOutOfMemory, "The resize needs more memory than a process can have");
  }
}

}  // namespace resnet_native
