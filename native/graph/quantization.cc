#include "native/graph/quantization.h"

#include <algorithm>
#include <cmath>

#include "native/error.h"

namespace resnet_native {
namespace {

constexpr double kLargestFilter = 127;
constexpr float kLargestByte = 255;

// What a result's scale and zero point are; those of float32 change nothing.
Quantization Of(const std::optional<Quantization>& y) { return y.value_or(Quantization{}); }

uint8_t ToByte(float y) {
  // A comparison with NaN is false.
  const float positive = y > 0 ? y : 0;
  return static_cast<uint8_t>(std::nearbyintf(std::min(positive, kLargestByte)));
}

Requantization Empty(size_t channels, const std::optional<Quantization>& y) {
  Requantization to;
  to.multiplier.resize(channels);
  to.offset.resize(channels);
  to.to_bytes = y.has_value();
  return to;
}

}  // namespace

Int8Filters QuantizeFilters(const Filters& filters, int out_channels, const std::string& node_name) {
  const size_t each = filters.values.size() / static_cast<size_t>(out_channels);
  Int8Filters quantized{std::vector<int8_t>(filters.values.size()),
                        std::vector<float>(static_cast<size_t>(out_channels), 1.0f)};
  for (int o = 0; o < out_channels; ++o) {
    const Weight values = filters.values.Read(o * each, each);
    double largest = 0;
    bool finite = true;
    for (size_t i = 0; i < each; ++i) {
      const double value = values[i] * filters.Scale(o);
      finite = finite && std::isfinite(value);
      largest = std::max(largest, std::abs(value));
    }
    if (!finite) {
      throw Error(ErrorCode::kInvalidArgument, "node \"" + node_name + "\": the weights of its channel " +
                                                   std::to_string(o) +
                                                   " hold NaN or infinity, which int8 has not");
    }
    const auto scale = static_cast<float>(largest / kLargestFilter);
    if (scale == 0) continue;  // all 0, or too small for float32
    quantized.scale[o] = scale;
    for (size_t i = 0; i < each; ++i) {
      const double q = std::nearbyint(values[i] * filters.Scale(o) / scale);
      quantized.values[o * each + i] = static_cast<int8_t>(std::clamp(q, -kLargestFilter, kLargestFilter));
    }
  }
  return quantized;
}

Requantization RequantizeProducts(const Int8Filters& filters, const Weight& bias, const Quantization& x,
                                  const std::optional<Quantization>& residual,
                                  const std::optional<Quantization>& y) {
  const Quantization held = Of(y);
  const size_t channels = filters.scale.size(), each = filters.values.size() / channels;
  Requantization to = Empty(channels, y);
  const double residual_multiplier = residual ? static_cast<double>(residual->scale) / held.scale : 0;
  const double residual_offset = residual ? residual_multiplier * residual->zero_point : 0;
  to.residual_multiplier = static_cast<float>(residual_multiplier);
  for (size_t o = 0; o < channels; ++o) {
    int64_t sum = 0;
    for (size_t i = 0; i < each; ++i) sum += filters.values[o * each + i];
    const double multiplier = static_cast<double>(x.scale) * filters.scale[o] / held.scale;
    const double shift = bias.empty() ? 0.0 : bias[o] / static_cast<double>(held.scale);
    to.multiplier[o] = static_cast<float>(multiplier);
    to.offset[o] = static_cast<float>(shift + held.zero_point -
                                      multiplier * x.zero_point * static_cast<double>(sum) - residual_offset);
  }
  return to;
}

Requantization RequantizeSum(const Quantization& a, const std::optional<Quantization>& b,
                             const std::optional<Quantization>& y) {
  const Quantization held = Of(y);
  Requantization to = Empty(1, y);
  const double multiplier = static_cast<double>(a.scale) / held.scale;
  const double other = b ? static_cast<double>(b->scale) / held.scale : 0;
  to.multiplier[0] = static_cast<float>(multiplier);
  to.residual_multiplier = static_cast<float>(other);
  to.offset[0] =
      static_cast<float>(held.zero_point - multiplier * a.zero_point - other * (b ? b->zero_point : 0));
  return to;
}

Requantization RequantizeMean(const Quantization& x, int64_t pixels, const std::optional<Quantization>& y) {
  const Quantization held = Of(y);
  Requantization to = Empty(1, y);
  const double multiplier = static_cast<double>(x.scale) / held.scale;
  to.multiplier[0] = static_cast<float>(multiplier / static_cast<double>(pixels));
  to.offset[0] = static_cast<float>(held.zero_point - multiplier * x.zero_point);
  return to;
}

float Requantize(int32_t sum, size_t channel, const Requantization& to, const uint8_t* residual) {
  float y = std::fma(static_cast<float>(sum), to.multiplier[channel], to.offset[channel]);
  if (residual) y = std::fma(static_cast<float>(*residual), to.residual_multiplier, y);
  if (to.to_bytes) return ToByte(y);
  return to.relu && y < 0 ? 0 : y;
}

uint8_t QuantizeValue(float x, const Quantization& to) {
  return ToByte(std::fma(x, 1.0f / to.scale, static_cast<float>(to.zero_point)));
}

std::vector<std::array<uint8_t, 256>> QuantizedPixels(int channels,
                                                      const std::optional<ChannelAffine>& normalize,
                                                      const Quantization& to) {
  std::vector<std::array<uint8_t, 256>> table(static_cast<size_t>(channels));
  for (int c = 0; c < channels; ++c) {
    for (int value = 0; value < 256; ++value) {
      double x = value;
      if (normalize) x = x * normalize->scale[c] + normalize->shift[c];
      table[c][value] = QuantizeValue(static_cast<float>(x), to);
    }
  }
  return table;
}

}  // namespace resnet_native
