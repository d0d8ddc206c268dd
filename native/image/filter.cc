#include "native/image/filter.h"

#include <algorithm>
#include <cmath>

namespace resnet_native {
namespace {

double Triangle(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

struct Axis {
  double scale;
  // The triangle's half width in input pixels: at least one, so that enlarging interpolates.
  double support;
  int64_t in_size;
};

// Writes the integer weights of the output pixel at `index`, and what they apply to.
void OneOutput(const Axis& axis, int64_t index, int32_t& first, int32_t& count, std::vector<double>& exact,
               int32_t* weights) {
  const double center = (static_cast<double>(index) + 0.5) * axis.scale;
  const double inverse_support = 1.0 / axis.support;
  first = std::max(static_cast<int32_t>(center - axis.support + 0.5), 0);
  const int64_t last = std::min<int64_t>(static_cast<int64_t>(center + axis.support + 0.5), axis.in_size);
  count = static_cast<int32_t>(last - first);

  double sum = 0;
  for (int32_t k = 0; k < count; ++k) {
    exact[k] = Triangle((k + first - center + 0.5) * inverse_support);
    sum += exact[k];
  }
  for (int32_t k = 0; k < count; ++k) {
    const double normalized = sum == 0.0 ? exact[k] : exact[k] / sum;
    weights[k] = static_cast<int32_t>(normalized * (1 << kWeightBits) + 0.5);
  }
}

}  // namespace

Filter BilinearFilter(int64_t in_size, int64_t out_size, int64_t begin, int64_t end) {
  const double scale = static_cast<double>(in_size) / static_cast<double>(out_size);
  const Axis axis{scale, std::max(scale, 1.0), in_size};
  const int64_t widest = std::min(static_cast<int64_t>(std::ceil(axis.support)) * 2 + 1, in_size);

  Filter filter;
  filter.stride = (widest + kWeightGroup - 1) / kWeightGroup * kWeightGroup;
  filter.first.resize(end - begin);
  filter.count.resize(end - begin);
  filter.weights.resize((end - begin) * filter.stride);
  std::vector<double> exact(widest);
  for (int64_t i = 0; i < end - begin; ++i) {
    OneOutput(axis, begin + i, filter.first[i], filter.count[i], exact, &filter.weights[i * filter.stride]);
  }
  return filter;
}

}  // namespace resnet_native
