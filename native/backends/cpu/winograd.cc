#include "native/backends/cpu/winograd.h"

#include <algorithm>
#include <cmath>

#include "native/backends/cpu/arithmetic.h"

namespace resnet_native::cpu {
namespace {

// Row p of G: the filter as a polynomial at point p, divided by the product of the distances to the other
// points. The kernels' transforms (winograd_kernels-inl.h) are made for the same points.
void FilterMatrix(WinogradTile tile, double (&g)[6][3]) {
  const std::vector<double> points =
      tile == WinogradTile::kF2
          ? std::vector<double>{0, 1, -1}
          : std::vector<double>{0, std::sqrt(0.5), -std::sqrt(0.5), std::sqrt(2.0), -std::sqrt(2.0)};
  for (size_t p = 0; p < points.size(); ++p) {
    double distances = 1;
    for (size_t q = 0; q < points.size(); ++q) distances *= q == p ? 1 : points[p] - points[q];
    for (int k = 0; k < 3; ++k) g[p][k] = std::pow(points[p], k) / distances;
  }
  double(&infinity)[3] = g[points.size()];
  infinity[0] = infinity[1] = 0;
  infinity[2] = 1;
}

// Below it the transforms cost more than the multiplications they save.
constexpr int kFewChannels = 16;
// Transformed filters larger than this come from memory for every batch. F(4×4) filters have four times the
// size of the plain ones, and only large batches use them often enough to be worth it; F(2×2) filters have
// not quite twice.
constexpr int64_t kLargeFilterBytes = int64_t{12} << 20;
constexpr int kLargeBatch = 4;

}  // namespace

std::optional<WinogradTile> ChooseWinograd(const Conv2dOp& op, int max_batch, MemoryMode memory) {
  const Window& window = op.window;
  const bool fits = op.groups == 1 && window.kernel_h == 3 && window.kernel_w == 3 && window.stride_h == 1 &&
                    window.stride_w == 1 && window.dilation_h == 1 && window.dilation_w == 1;
  if (!fits || memory == MemoryMode::kLow) return std::nullopt;
  if (op.in_channels < kFewChannels || op.out_channels < kFewChannels) return std::nullopt;
  const int64_t f4_bytes =
      int64_t{36} * op.in_channels * op.out_channels * static_cast<int64_t>(sizeof(float));
  return f4_bytes > kLargeFilterBytes && max_batch < kLargeBatch ? WinogradTile::kF2 : WinogradTile::kF4;
}

void TransformFilter(WinogradTile tile, const double (&filter)[9], double* transformed) {
  double g[6][3];
  FilterMatrix(tile, g);
  const int points = PointsOf(tile);
  for (int i = 0; i < points; ++i) {
    double row[3];
    for (int k = 0; k < 3; ++k)
      row[k] = g[i][0] * filter[k] + g[i][1] * filter[3 + k] + g[i][2] * filter[6 + k];
    for (int j = 0; j < points; ++j) {
      transformed[i * points + j] = row[0] * g[j][0] + row[1] * g[j][1] + row[2] * g[j][2];
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
  pool.ParallelFor(padded_out_channels_, [&](int64_t out, int) { Pack(source, out); });
}

int WinogradFilters::Blocks(int64_t panel) const {
  return static_cast<int>(std::min(panel_width_, padded_out_channels_ - FirstOut(panel)) / kernels_.lanes);
}

void WinogradFilters::Pack(const FilterSource& source, int64_t out) {
  const int64_t panel = out / panel_width_;
  const int64_t width = int64_t{Blocks(panel)} * kernels_.lanes;
  const bool padding = out >= out_channels_;
  const double scale = padding ? 0.0 : source.filters.Scale(static_cast<int>(out));
  const float* filters = source.filters.values.data + (padding ? 0 : out) * in_channels_ * 9;
  float* to = packed_.As<float>() + FirstOut(panel) * in_channels_ + (out - FirstOut(panel));
  for (int64_t c = 0; c < in_channels_; ++c) {
    double filter[9], transformed[36];
    for (int k = 0; k < 9; ++k) filter[k] = filters[c * 9 + k] * scale;
    TransformFilter(tile_, filter, transformed);
    for (int p = 0; p < positions(); ++p) {
      to[p * padded_out_channels_ * in_channels_ + c * width] = static_cast<float>(transformed[p]);
    }
  }
}

}  // namespace resnet_native::cpu
