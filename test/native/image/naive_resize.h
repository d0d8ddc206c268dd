#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <random>
#include <vector>

#include "native/image/resize.h"

// The resize as its definition reads: whole image, one pass after the other, weights in double precision.
// What rounds, and when, is the caller's; there is nothing else to share with the code under test.
namespace resnet_native::naive {

struct Picture {
  int64_t height, width;
  std::vector<double> values;  // RGB, HWC

  double at(int64_t y, int64_t x, int64_t c) const { return values[(y * width + x) * 3 + c]; }
};

struct Rounding {
  std::function<double(double)> weight = [](double w) { return w; };
  std::function<double(double)> value = [](double v) { return v; };
};

// To the integers of Pillow's arithmetic: weights with 22 fractional bits, bytes after each pass.
inline Rounding PillowRounding() {
  return {[](double w) { return std::floor(w * (1 << 22) + 0.5) / (1 << 22); },
          [](double v) { return std::clamp(std::floor(v + 0.5), 0.0, 255.0); }};
}

inline std::vector<double> Weights(int64_t in_size, int64_t out_size, int64_t index,
                                   const Rounding& rounding) {
  const double scale = static_cast<double>(in_size) / static_cast<double>(out_size);
  const double support = std::max(scale, 1.0);
  const double center = (static_cast<double>(index) + 0.5) * scale;
  std::vector<double> weights(in_size);
  double sum = 0;
  for (int64_t i = 0; i < in_size; ++i) {
    weights[i] = std::max(0.0, 1 - std::abs((static_cast<double>(i) - center + 0.5) * (1 / support)));
    sum += weights[i];
  }
  for (double& weight : weights) weight = rounding.weight(weight / sum);
  return weights;
}

inline Picture Across(const Picture& in, int64_t width, const Rounding& rounding) {
  Picture out{in.height, width, std::vector<double>(in.height * width * 3)};
  for (int64_t x = 0; x < width; ++x) {
    const std::vector<double> weights = Weights(in.width, width, x, rounding);
    for (int64_t y = 0; y < in.height; ++y) {
      for (int64_t c = 0; c < 3; ++c) {
        double sum = 0;
        for (int64_t i = 0; i < in.width; ++i) sum += weights[i] * in.at(y, i, c);
        out.values[(y * width + x) * 3 + c] = rounding.value(sum);
      }
    }
  }
  return out;
}

inline Picture Transposed(const Picture& in) {
  Picture out{in.width, in.height, std::vector<double>(in.values.size())};
  for (int64_t y = 0; y < in.height; ++y) {
    for (int64_t x = 0; x < in.width; ++x) {
      for (int64_t c = 0; c < 3; ++c) out.values[(x * in.height + y) * 3 + c] = in.at(y, x, c);
    }
  }
  return out;
}

inline Picture Down(const Picture& in, int64_t height, const Rounding& rounding) {
  return Transposed(Across(Transposed(in), height, rounding));
}

inline Picture Resize(const Picture& in, int64_t height, int64_t width, const Rounding& rounding) {
  const bool down_first = in.height > height && in.height - height > 2 * (in.width - width);
  if (down_first) return Across(Down(in, height, rounding), width, rounding);
  return Down(Across(in, width, rounding), height, rounding);
}

inline std::vector<uint8_t> Crop(const Picture& in, const ResizeCropGeometry& geometry) {
  std::vector<uint8_t> out;
  for (int64_t y = geometry.top; y < geometry.top + geometry.crop_height; ++y) {
    for (int64_t x = geometry.left; x < geometry.left + geometry.crop_width; ++x) {
      const bool inside = y >= 0 && y < in.height && x >= 0 && x < in.width;
      for (int64_t c = 0; c < 3; ++c) out.push_back(inside ? static_cast<uint8_t>(in.at(y, x, c)) : 0);
    }
  }
  return out;
}

// Bytes in which rounding and clipping show: half of them at the ends of the range.
inline std::vector<uint8_t> NoisePixels(int64_t height, int64_t width, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<uint8_t> pixels(height * width * 3);
  for (uint8_t& pixel : pixels) {
    const uint32_t bits = random();
    pixel = bits & 256 ? (bits & 512 ? 255 : 0) : bits & 255;
  }
  return pixels;
}

inline Picture ToPicture(const std::vector<uint8_t>& pixels, int64_t height, int64_t width) {
  return {height, width, std::vector<double>(pixels.begin(), pixels.end())};
}

}  // namespace resnet_native::naive
