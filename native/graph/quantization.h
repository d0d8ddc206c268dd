#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "native/graph/graph.h"

// The arithmetic of int8, which every backend follows to the bit.
//
// A tensor is held as uint8 with one scale; its zero point is 0 where values cannot be negative and 128
// elsewhere, which makes it symmetric. Filters are int8 with a scale for each output channel and no zero
// point. Products are summed as integers, which is exact in any order. What follows is a sequence of IEEE
// float32 operations, each rounded once, to nearest even:
//
//   y = fma(float(sum), multiplier[o], offset[o])      sum: of the bytes as they are, zero points included
//   y = fma(float(residual), residual_multiplier, y)   if there is a residual
//   q = rint(min(max(y, 0), 255))                      if the result is bytes; NaN becomes 0
//   y = max(y, 0)                                      if it is float32 and goes through a ReLU
//
// Everything that zero points add to a sum does not depend on the image and is in the offset, so padding is
// made of zero points. A ReLU of bytes is the clamp itself: such a result has the zero point 0.

namespace resnet_native {

constexpr int kSignedZeroPoint = 128;

// Of each node, whether its results cannot be negative: behind a ReLU, and what only selects or adds such
// values. In a graph as traced as well as after the passes.
std::vector<bool> NonNegativeNodes(const Graph& graph);

// A sum of more products than these could leave an int32_t.
constexpr int64_t kMaxInt8Products = (int64_t{1} << 31) / (255 * 127);

struct Int8Filters {
  std::vector<int8_t> values;  // in the order of the filters, each from -127 to 127
  std::vector<float> scale;    // of each output channel; 1 where all of its values are 0
};

// round(value / scale), the scale such that the channel's largest magnitude becomes 127. Filters that were
// int8 before, with any scale, come out with the same values. Throws kInvalidArgument, naming the node, if
// one is NaN or infinite.
Int8Filters QuantizeFilters(const Filters& filters, int out_channels, const std::string& node_name);

// What follows a sum; see above.
struct Requantization {
  std::vector<float> multiplier, offset;  // of each output channel
  float residual_multiplier = 0;
  bool to_bytes = false;
  bool relu = false;
};

// Of a convolution or a fully connected layer. `y`: how its result is held, none if that is float32.
Requantization RequantizeProducts(const Int8Filters& filters, const Weight& bias, const Quantization& x,
                                  const std::optional<Quantization>& residual,
                                  const std::optional<Quantization>& y);

// Of one value, or two that are added: sum = a, residual = b.
Requantization RequantizeSum(const Quantization& a, const std::optional<Quantization>& b,
                             const std::optional<Quantization>& y);

// Of the sum over the pixels of a channel, for their mean.
Requantization RequantizeMean(const Quantization& x, int64_t pixels, const std::optional<Quantization>& y);

// The epilogue of one output, as written above. `residual` is not looked at where there is none.
float Requantize(int32_t sum, size_t channel, const Requantization& to, const uint8_t* residual);

// float32 to bytes: rint(min(max(fma(x, 1 / scale, zero_point), 0), 255)); NaN becomes 0.
uint8_t QuantizeValue(float x, const Quantization& to);

// (q - zero_point) * scale.
inline float DequantizeValue(uint8_t q, const Quantization& from) {
  return static_cast<float>(q - from.zero_point) * from.scale;
}

// The bytes that the 256 values of a uint8 input have after its normalisation: [channel][value].
std::vector<std::array<uint8_t, 256>> QuantizedPixels(int channels,
                                                      const std::optional<ChannelAffine>& normalize,
                                                      const Quantization& to);

}  // namespace resnet_native
