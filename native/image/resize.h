#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace resnet_native {

// The largest height or width, in pixels, of an image before and after the resize. Up to here Pillow's own
// arithmetic (float32 box edges, int32 sums) is exact.
constexpr int64_t kMaxImageSide = int64_t{1} << 24;

// A resize of the whole image, then a crop of the result. The crop window may reach outside the resized image
// (negative `top`, say): what lies outside is zero.
struct ResizeCropGeometry {
  int64_t resized_height = 0;
  int64_t resized_width = 0;
  int64_t top = 0;
  int64_t left = 0;
  int64_t crop_height = 0;
  int64_t crop_width = 0;
};

// The order of the passes shows in the rounding between them. Pillow 13 goes vertically first where the
// height shrinks by more than twice what the width does: on pictures more than twice as high as wide, mostly.
// (Before Pillow 13 it never did; its results there differ by one in places.)
inline bool IsVerticalFirst(int64_t height, int64_t width, const ResizeCropGeometry& geometry) {
  const int64_t shrinks_down = height - geometry.resized_height;
  const int64_t shrinks_across = width - geometry.resized_width;
  return shrinks_down > 0 && shrinks_down > 2 * shrinks_across;
}

// The size in bytes of ResizeCrop's result: crop_height × crop_width × 3. Throws Error kInvalidShape when a
// side is not in [1, kMaxImageSide], `pixel_bytes` is not height × width × 3, or the window is out of range.
size_t CheckResizeCrop(size_t pixel_bytes, int64_t height, int64_t width, const ResizeCropGeometry& geometry);

// Resizes an RGB image (uint8, HWC, rows without gaps) as Pillow's `Image.resize(..., BILINEAR)` does, byte
// for byte, and writes the crop to `out`, of the size CheckResizeCrop gives. Only what the crop shows is
// computed. Reads `pixels` and writes `out` during the call only. Throws Error: as CheckResizeCrop, and
// kOutOfMemory. Thread-safe.
void ResizeCrop(std::span<const uint8_t> pixels, int64_t height, int64_t width,
                const ResizeCropGeometry& geometry, std::span<uint8_t> out);

}  // namespace resnet_native
