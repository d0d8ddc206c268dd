#pragma once

#include <cstdint>
#include <vector>

namespace resnet_native {

// Filter weights are fixed point with this many fractional bits: 8 bits of pixel, two of headroom, one of
// sign.
constexpr int kWeightBits = 32 - 8 - 2;

// The weights of one axis of a resize. Output i is the sum of `weights[i * stride + k] * input[first[i] + k]`
// over k in [0, count[i]), rounded; weights from count[i] to stride are zero.
struct Filter {
  std::vector<int32_t> first;
  std::vector<int32_t> count;
  std::vector<int32_t> weights;
  // A multiple of kWeightGroup, so that kernels may take the weights of an output in whole groups.
  int64_t stride = 0;
};
constexpr int64_t kWeightGroup = 4;

// Pillow's bilinear filter, a triangle that widens with the reduction, for outputs [begin, end) of an axis
// resized from `in_size` to `out_size`. Sizes are in [1, kMaxImageSide]. The weights are the very integers
// Pillow uses, so a resize with exact sums is equal to Pillow's.
Filter BilinearFilter(int64_t in_size, int64_t out_size, int64_t begin, int64_t end);

}  // namespace resnet_native
