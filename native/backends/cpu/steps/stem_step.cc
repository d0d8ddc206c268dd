#include "native/backends/cpu/steps/stem_step.h"

#include <algorithm>

namespace resnet_native::cpu {
namespace {

constexpr int64_t kBandsPerThread = 8;
constexpr int64_t kMaxRows = 8;
constexpr int64_t kMaxPixels = 1024;  // of a band: its pointers and input then fit in the second-level cache

bool CanJoinColumns(const Conv2dOp& op) { return op.groups == 1 && op.window.dilation_w == 1; }

FilterSource SourceOf(const Conv2dOp& op) {
  FilterSource source = FiltersOf(op);
  source.join_columns = CanJoinColumns(op);
  return source;
}

}  // namespace

StemStep::StemStep(const Conv2dOp& op, DType dtype, const StepOptions& options)
    : window_(op.window),
      channels_(op.in_channels),
      relu_(op.relu),
      join_columns_(CanJoinColumns(op)),
      filters_(SourceOf(op), dtype, *options.kernels[dtype].conv, options.pool),
      reader_(op.in_channels, op.input_normalize, dtype, *options.kernels[dtype].elementwise) {}

int64_t StemStep::Macs(const TensorShape& y) const {
  return y.elements() * filters_.taps() * filters_.channels();
}

int64_t StemStep::BandsPerImage(const TensorShape& y, int threads) const {
  const int64_t fair = y.n * y.h / (kBandsPerThread * threads);
  const int64_t rows = std::max<int64_t>(std::min({fair, kMaxRows, kMaxPixels / y.w}), 1);
  return CeilDiv(y.h, rows);
}

int64_t StemStep::InputRows(int64_t rows) const {
  return (rows - 1) * window_.stride_h + (window_.kernel_h - 1) * window_.dilation_h + 1;
}

int64_t StemStep::RowStride(int64_t input_w) const {
  return (input_w + 2 * window_.pad_w) * channels_ * ElementBytes(filters_.dtype());
}

size_t StemStep::RowsBytes(int64_t rows, int64_t input_w) const {
  return static_cast<size_t>(RoundUp(InputRows(rows) * RowStride(input_w), kCacheLine));
}

size_t StemStep::BandBytes(const TensorShape& x, int64_t rows) const {
  const int64_t pixels = rows * window_.OutW(x.w);
  const size_t pointers = static_cast<size_t>(pixels * filters_.taps()) * sizeof(const char*);
  return RowsBytes(rows, x.w) + reader_.ScratchBytes(x.w) + pointers;
}

size_t StemStep::ScratchBytes(const TensorShape& x, const TensorShape& y, int threads) const {
  return BandBytes(x, CeilDiv(y.h, BandsPerImage(y, threads)));
}

void StemStep::Run(const StepRun& run) const {
  const TensorShape& y = run.y.shape;
  const int64_t per_image = BandsPerImage(y, run.pool.threads());
  run.pool.ParallelFor(y.n * per_image, [&](int64_t i, int thread) {
    const Band band = Band::At(i, per_image, y.h);
    RunBand(run.From(band.FirstPixel(y)), band, run.scratch.Of<char>(thread));
  });
}

void StemStep::RunBand(const StepRun& run, const Band& band, char* scratch) const {
  const int64_t width = run.y.shape.w;
  char* rows = scratch;
  char* floats = rows + RowsBytes(band.rows, run.input.w);
  auto** pointers = reinterpret_cast<const char**>(floats + reader_.ScratchBytes(run.input.w));
  const Tiling tiling(band.rows * width, filters_.max_pixels());
  FillRows(band, run.input, rows, reinterpret_cast<float*>(floats));
  FillPointers(rows, RowStride(run.input.w), width, tiling, pointers);

  const ConvItem all{0, tiling.tiles, 0, static_cast<int64_t>(filters_.panels().size())};
  RunConvItem(filters_, tiling, all, pointers, {run.y, run.residual, 0, relu_});
}

void StemStep::FillRows(const Band& band, const InputBatch& input, char* rows, float* scratch) const {
  const int64_t pad = window_.pad_w * channels_ * ElementBytes(filters_.dtype());
  const int64_t stride = RowStride(input.w), count = InputRows(band.rows);
  const int64_t first_row = band.first * window_.stride_h - window_.pad_h;
  for (int64_t r = 0; r < count; ++r) {
    char* row = rows + r * stride;
    const int64_t h = first_row + r;
    if (h < 0 || h >= input.h) {
      std::fill(row, row + stride, 0);
      continue;
    }
    std::fill(row, row + pad, 0);
    reader_.ReadRow(input, band.n, h, scratch, row + pad);
    std::fill(row + stride - pad, row + stride, 0);
  }
}

void StemStep::FillPointers(const char* rows, int64_t row_stride, int64_t width, const Tiling& tiling,
                            const char** pointers) const {
  const int64_t element = ElementBytes(filters_.dtype());
  const int columns = join_columns_ ? 1 : window_.kernel_w;
  int64_t h = 0, w = 0;
  for (int64_t tile = 0; tile < tiling.tiles; ++tile) {
    const int64_t count = tiling.Begin(tile + 1) - tiling.Begin(tile);
    for (int64_t i = 0; i < count; ++i) {
      const char** tap = pointers + i;
      for (int ky = 0; ky < window_.kernel_h; ++ky) {
        const char* row = rows + (h * window_.stride_h + ky * window_.dilation_h) * row_stride;
        for (int kx = 0; kx < columns; ++kx, tap += count) {
          *tap = row + (w * window_.stride_w + kx * window_.dilation_w) * channels_ * element;
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
