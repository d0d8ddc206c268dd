#include "native/backends/cpu/winograd.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "native/backends/cpu/arithmetic.h"

namespace resnet_native::cpu {
namespace {

// G, row by row. Row p is the filter as a polynomial at point p, divided by the product of the distances to
// the other points; the last is the point at infinity. The kernels' transforms (winograd_kernels-inl.h) are
// made for the same points.
struct FilterMatrix {
  double g[6][3] = {};

  explicit FilterMatrix(const std::vector<double>& points) {
    for (size_t p = 0; p < points.size(); ++p) {
      double distances = 1;
      for (size_t q = 0; q < points.size(); ++q) distances *= q == p ? 1 : points[p] - points[q];
      for (int k = 0; k < 3; ++k) g[p][k] = std::pow(points[p], k) / distances;
    }
    g[points.size()][2] = 1;
  }
};

const FilterMatrix& MatrixOf(WinogradTile tile) {
  static const FilterMatrix f2({0, 1, -1});
  static const FilterMatrix f4({0, std::sqrt(0.5), -std::sqrt(0.5), std::sqrt(2.0), -std::sqrt(2.0)});
  return tile == WinogradTile::kF2 ? f2 : f4;
}

}  // namespace

void TransformFilters(WinogradTile tile, const double* filters, int count, double* transformed) {
  const auto& g = MatrixOf(tile).g;
  const int points = PointsOf(tile);
  for (int i = 0; i < points; ++i) {
    for (int l = 0; l < count; ++l) {
      double row[3];
      for (int k = 0; k < 3; ++k) {
        row[k] = g[i][0] * filters[k * count + l] + g[i][1] * filters[(3 + k) * count + l] +
                 g[i][2] * filters[(6 + k) * count + l];
      }
      for (int j = 0; j < points; ++j) {
        transformed[(i * points + j) * count + l] = row[0] * g[j][0] + row[1] * g[j][1] + row[2] * g[j][2];
      }
    }
  }
}

WinogradFilters::WinogradFilters(const FilterSource& source, WinogradTile tile, const ConvKernels& kernels,
                                 ThreadPool& pool)
    : tile_(tile),
      kernels_(kernels),
      in_channels_(source.in_channels),
      out_channels_(source.out_channels),
      panel_width_(int64_t{kernels.lanes} * kernels.max_blocks),
      padded_out_channels_(RoundUp(source.out_channels, kernels.lanes)),
      packed_(static_cast<size_t>(positions() * padded_out_channels_ * in_channels_) * sizeof(float)),
      bias_(static_cast<size_t>(padded_out_channels_) * sizeof(float)) {
  std::fill_n(bias_.As<float>(), padded_out_channels_, 0.0f);
  if (!source.bias.empty()) std::copy_n(source.bias.data, out_channels_, bias_.As<float>());
  pool.ParallelFor(padded_out_channels_ / kernels.lanes,
                   [&](int64_t block, int) { Pack(source, block * kernels_.lanes); });
}

int WinogradFilters::Blocks(int64_t panel) const {
  return static_cast<int>(std::min(panel_width_, padded_out_channels_ - FirstOut(panel)) / kernels_.lanes);
}

// A vector of output channels, so that whole cache lines are written.
void WinogradFilters::Pack(const FilterSource& source, int64_t first_out) {
  const int64_t panel = first_out / panel_width_, lanes = kernels_.lanes;
  const int64_t width = Blocks(panel) * lanes, used = std::min(lanes, out_channels_ - first_out);
  float* to = packed_.As<float>() + FirstOut(panel) * in_channels_ + (first_out - FirstOut(panel));
  const int64_t each = in_channels_ * 9;
  const Weight values = source.filters.values.Read(first_out * each, used * each);
  std::vector<double> filters(9 * lanes), transformed(positions() * lanes);
  for (int64_t c = 0; c < in_channels_; ++c) {
    for (int64_t l = 0; l < used; ++l) {
      const float* filter = values.data + l * each + c * 9;
      const double scale = source.filters.Scale(static_cast<int>(first_out + l));
      for (int k = 0; k < 9; ++k) filters[k * lanes + l] = filter[k] * scale;
    }
    TransformFilters(tile_, filters.data(), static_cast<int>(lanes), transformed.data());
    for (int p = 0; p < positions(); ++p) {
      float* line = to + p * padded_out_channels_ * in_channels_ + c * width;
      for (int64_t l = 0; l < lanes; ++l) line[l] = static_cast<float>(transformed[p * lanes + l]);
    }
  }
}

}  // namespace resnet_native::cpu
