#include "native/backends/cpu/steps/stem_step.h"

#include <algorithm>

namespace resnet_native::cpu {
namespace {

constexpr int64_t kBandsPerThread = 8;
constexpr int64_t kMaxRows = 8;
constexpr int64_t kMaxPixels = 1024;  // of a band: its pointers and input then fit in the second-level cache

bool CanJoinColumns(const Conv2dOp& op) { return op.groups == 1 && op.window.dilation_w == 1; }

FilterSource SourceOf(const Conv2dOp& op) {
  return {op.filters,         op.bias,           op.in_channels,
          op.out_channels,    op.groups,         op.window.kernel_h,
          op.window.kernel_w, CanJoinColumns(op)};
}

size_t RowBytes(int64_t floats) { return static_cast<size_t>((floats + 15) / 16 * 16) * sizeof(float); }

}  // namespace

StemStep::StemStep(const Conv2dOp& op, const StepOptions& options)
    : window_(op.window),
      channels_(op.in_channels),
      relu_(op.relu),
      join_columns_(CanJoinColumns(op)),
      filters_(SourceOf(op), *options.kernels.conv, options.pool),
      reader_(op.in_channels, op.input_normalize, *options.kernels.elementwise) {}

int64_t StemStep::Macs(const TensorShape& y) const {
  return y.elements() * filters_.taps() * filters_.channels();
}

int64_t StemStep::BandsPerImage(const TensorShape& y, int threads) const {
  const int64_t fair = y.n * y.h / (kBandsPerThread * threads);
  const int64_t rows = std::max<int64_t>(std::min({fair, kMaxRows, kMaxPixels / y.w}), 1);
  return (y.h + rows - 1) / rows;
}

StemStep::Band StemStep::BandAt(int64_t index, int64_t per_image, int64_t input_w,
                                const TensorShape& y) const {
  const int64_t n = index / per_image, i = index % per_image;
  Band band{n, y.h * i / per_image, y.h * (i + 1) / per_image, 0, 0};
  band.input_rows =
      (band.last - band.first - 1) * window_.stride_h + (window_.kernel_h - 1) * window_.dilation_h + 1;
  band.stride = (input_w + 2 * window_.pad_w) * channels_;
  return band;
}

size_t StemStep::ScratchBytes(const TensorShape& x, const TensorShape& y, int threads) const {
  const int64_t per_image = BandsPerImage(y, threads);
  const int64_t rows = (y.h + per_image - 1) / per_image;
  const int64_t input_rows = (rows - 1) * window_.stride_h + (window_.kernel_h - 1) * window_.dilation_h + 1;
  const size_t pointers = static_cast<size_t>(rows * y.w * filters_.taps()) * sizeof(const float*);
  return RowBytes(input_rows * (x.w + 2 * window_.pad_w) * channels_) + pointers;
}

void StemStep::Run(const StepRun& run) const {
  const TensorShape& y = run.y.shape;
  const int64_t per_image = BandsPerImage(y, run.pool.threads());
  run.pool.ParallelFor(y.n * per_image, [&](int64_t i, int thread) {
    RunBand(BandAt(i, per_image, run.input.w, y), run, run.scratch.Of<char>(thread));
  });
}

void StemStep::RunBand(const Band& band, const StepRun& run, char* scratch) const {
  const TensorShape& shape = run.y.shape;
  auto* rows = reinterpret_cast<float*>(scratch);
  auto** pointers = reinterpret_cast<const float**>(scratch + RowBytes(band.input_rows * band.stride));
  const Tiling tiling((band.last - band.first) * shape.w, filters_.max_pixels());
  FillRows(band, run.input, rows);
  FillPointers(band, rows, shape.w, tiling, pointers);

  const int64_t offset = (band.n * shape.h + band.first) * shape.w * shape.c;
  const float* residual = run.residual.data ? run.residual.data + offset : nullptr;
  const ConvItem all{0, tiling.tiles, 0, static_cast<int64_t>(filters_.panels().size())};
  RunConvItem(filters_, tiling, all, pointers, {run.y.data + offset, residual, shape.c, relu_});
}

void StemStep::FillRows(const Band& band, const InputBatch& input, float* rows) const {
  const int64_t pad = window_.pad_w * channels_;
  const int64_t first_row = band.first * window_.stride_h - window_.pad_h;
  for (int64_t r = 0; r < band.input_rows; ++r) {
    float* row = rows + r * band.stride;
    const int64_t h = first_row + r;
    if (h < 0 || h >= input.h) {
      std::fill(row, row + band.stride, 0.0f);
      continue;
    }
    std::fill(row, row + pad, 0.0f);
    reader_.ReadRow(input, band.n, h, row + pad);
    std::fill(row + band.stride - pad, row + band.stride, 0.0f);
  }
}

void StemStep::FillPointers(const Band& band, const float* rows, int64_t width, const Tiling& tiling,
                            const float** pointers) const {
  const int columns = join_columns_ ? 1 : window_.kernel_w;
  int64_t h = 0, w = 0;
  for (int64_t tile = 0; tile < tiling.tiles; ++tile) {
    const int64_t count = tiling.Begin(tile + 1) - tiling.Begin(tile);
    for (int64_t i = 0; i < count; ++i) {
      const float** tap = pointers + i;
      for (int ky = 0; ky < window_.kernel_h; ++ky) {
        const float* row = rows + (h * window_.stride_h + ky * window_.dilation_h) * band.stride;
        for (int kx = 0; kx < columns; ++kx, tap += count) {
          *tap = row + (w * window_.stride_w + kx * window_.dilation_w) * channels_;
        }
      }
      if (++w == width) {
        w = 0;
        ++h;
      }
    }
    pointers += count * filters_.taps();
  }
}

}  // namespace resnet_native::cpu
