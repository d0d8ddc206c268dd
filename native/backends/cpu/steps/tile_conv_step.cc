#include "native/backends/cpu/steps/tile_conv_step.h"

#include <algorithm>

#include "native/backends/cpu/arithmetic.h"
#include "native/backends/cpu/cpu_info.h"

namespace resnet_native::cpu {
namespace {

constexpr int64_t kItemsPerThread = 4;
constexpr int64_t kTilePixels = 16;

// Few channels: then a whole row of the kernel goes into one step of the sum.
FilterSource SourceOf(const Conv2dOp& op, const TileConvKernels& kernels) {
  FilterSource source = FiltersOf(op);
  source.join_columns = op.groups == 1 && op.window.dilation_w == 1 && op.window.kernel_w > 1 &&
                        int64_t{op.window.kernel_w} * op.in_channels <= kernels.channels_per_step;
  return source;
}

std::optional<InputReader> ReaderOf(const Conv2dOp& op, bool from_input, DType dtype,
                                    const StepOptions& options) {
  if (!from_input) return std::nullopt;
  return InputReader(op.in_channels, op.input_normalize, dtype, *options.kernels[dtype].elementwise);
}

const TileConvKernels& Int8Tiles(const StepOptions& options) { return *options.kernels[DType::kInt8].tiles; }

bool IsPixelByPixel(const Window& window) {
  return window.IsPointwise() && window.stride_h == 1 && window.stride_w == 1;
}

}  // namespace

TileConvStep::TileConvStep(const Shape& shape, const FilterSource& source, PackedTiles filters,
                           std::optional<InputReader> reader, const TileConvKernels& kernels)
    : window_(shape.window),
      in_channels_(source.in_channels),
      macs_per_output_(int64_t{source.kernel_h} * source.kernel_w * source.in_channels / source.groups),
      relu_(shape.relu),
      element_(ElementBytes(shape.dtype)),
      kernels_(kernels),
      filters_(std::move(filters)),
      direct_(!reader && IsPixelByPixel(shape.window) && filters_.readable_channels() == source.in_channels),
      planes_(shape.window, source.in_channels, element_,
              RoundUp(std::max(filters_.readable_channels(), source.in_channels), kernels.channels_per_step),
              source.join_columns, shape.padding),
      reader_(std::move(reader)) {}

TileConvStep::TileConvStep(const Conv2dOp& op, bool from_input, DType dtype, const StepOptions& options)
    : TileConvStep({op.window, op.relu, dtype}, SourceOf(op, *options.kernels[dtype].tiles),
                   {SourceOf(op, *options.kernels[dtype].tiles), *options.kernels[dtype].tiles, options.pool},
                   ReaderOf(op, from_input, dtype, options), *options.kernels[dtype].tiles) {}

TileConvStep::TileConvStep(const LinearOp& op, DType dtype, const StepOptions& options)
    : TileConvStep({{}, false, dtype}, FiltersOf(op),
                   {FiltersOf(op), *options.kernels[dtype].tiles, options.pool}, std::nullopt,
                   *options.kernels[dtype].tiles) {}

TileConvStep::TileConvStep(const Conv2dOp& op, const Int8Operands& operands, const StepOptions& options)
    : TileConvStep({op.window, op.relu, DType::kInt8, static_cast<char>(operands.x.zero_point)},
                   SourceOf(op, Int8Tiles(options)),
                   {{SourceOf(op, Int8Tiles(options)), operands}, Int8Tiles(options), options.pool},
                   std::nullopt, Int8Tiles(options)) {}

TileConvStep::TileConvStep(const LinearOp& op, const Int8Operands& operands, const StepOptions& options)
    : TileConvStep({{}, false, DType::kInt8}, FiltersOf(op),
                   {{FiltersOf(op), operands}, Int8Tiles(options), options.pool}, std::nullopt,
                   Int8Tiles(options)) {}

std::string TileConvStep::Kernel() const {
  return std::string(reader_ ? "stem " : "") + (direct_ ? "tiles " : "tiles over planes ") + kernels_.isa;
}

int64_t TileConvStep::Macs(const TensorShape& y) const { return y.elements() * macs_per_output_; }

// What items that follow each other have in common, a band's input or a range's weights, stays in the
// second-level cache; the other passes by, once for each of the first. As few bytes as that gives every
// thread a few items.
TileConvStep::Partition TileConvStep::ChoosePartition(const TensorShape& x, int64_t units,
                                                      int threads) const {
  const int64_t input = x.elements() * element_, weights = filters_.bytes();
  const auto panels = static_cast<int64_t>(filters_.panels().size()),
             cached = static_cast<int64_t>(Caches().l2) / 2;
  const int64_t least_bands = std::min(units, CeilDiv(input, cached));
  const int64_t wanted = threads == 1 ? 1 : kItemsPerThread * threads;
  const auto passes = [&](int64_t bytes, int64_t times) {
    return bytes * (bytes <= cached ? std::min<int64_t>(times, threads) : times);
  };
  Partition best{least_bands, 1, false};
  int64_t best_bytes = -1;
  for (int64_t ranges = 1; ranges <= std::min(panels, wanted); ++ranges) {
    const int64_t bands = std::min(units, std::max(least_bands, CeilDiv(wanted, ranges)));
    if (bands * ranges < wanted && ranges < std::min(panels, wanted)) continue;
    for (bool by_range : {false, true}) {
      if (by_range && weights > ranges * cached) continue;
      // Planes are filled again for every item then.
      const int64_t again = direct_ ? passes(input, ranges) : 2 * ranges * input;
      const int64_t bytes = by_range ? weights + again : input + passes(weights, bands);
      if (best_bytes >= 0 && bytes >= best_bytes) continue;
      best = {bands, ranges, by_range};
      best_bytes = bytes;
    }
  }
  return best;
}

TileConvStep::Item TileConvStep::ItemAt(int64_t i, const Partition& partition) const {
  const auto& [bands, ranges, by_range] = partition;
  return by_range ? Item{i % bands, i / bands} : Item{i / ranges, i % ranges};
}

size_t TileConvStep::ScratchBytes(const TensorShape& x, const TensorShape& y, int threads) const {
  if (direct_) return 0;
  const int64_t rows = std::min(y.h, CeilDiv(y.n * y.h, ChoosePartition(x, y.n * y.h, threads).bands));
  const size_t buffers = planes_.RowBufferBytes(x.w) + (reader_ ? reader_->ScratchBytes(x.w) : 0);
  return planes_.LayoutFor(rows, y.w, x.w).bytes + buffers;
}

TileConv TileConvStep::Describe(const StepRun& run) const {
  TileConv conv{};
  conv.steps = filters_.steps();
  conv.y_stride = run.y.shape.c;
  conv.residual_multiplier = filters_.residual_multiplier();
  conv.relu = relu_;
  conv.float_y = run.y.dtype == DType::kFloat32;
  return conv;
}

void TileConvStep::SetPanels(int64_t range, int64_t ranges, TileConv& conv) const {
  const auto panels = static_cast<int64_t>(filters_.panels().size());
  const int64_t first = panels * range / ranges, behind = panels * (range + 1) / ranges;
  conv.panel = filters_.panels().data() + first;
  conv.panels = behind - first;
  conv.next = filters_.panels().data() + behind % panels;
  // The results of a few pixels are whole cache lines then. Other weights pass by once.
  conv.panels_inside = filters_.bytes() / panels * conv.panels <= static_cast<int64_t>(Caches().l2) / 2;
}

void TileConvStep::Run(const StepRun& run) const {
  if (direct_) {
    RunOnPixels(run);
  } else {
    RunOnPlanes(run);
  }
}

void TileConvStep::RunOnPixels(const StepRun& run) const {
  const TensorShape& y = run.y.shape;
  const int64_t pixels = y.n * y.h * y.w, units = CeilDiv(pixels, kTilePixels);
  const Partition partition = ChoosePartition(run.x.shape, units, run.pool.threads());
  run.pool.ParallelFor(partition.bands * partition.panel_ranges, [&](int64_t i, int) {
    const auto [band, range] = ItemAt(i, partition);
    const int64_t first = pixels * band / partition.bands, last = pixels * (band + 1) / partition.bands;
    const int64_t no_offset = 0;
    TileConv conv = Describe(run);
    conv.x = run.x.At(first * in_channels_);
    conv.x_stride = in_channels_ * element_;
    conv.tap_offsets = &no_offset;
    conv.taps = 1;
    conv.pixels = conv.row_pitch = conv.row_width = last - first;
    conv.y = run.y.At(first * y.c);
    conv.residual = run.residual.data ? run.residual.At(first * y.c) : nullptr;
    SetPanels(range, partition.panel_ranges, conv);
    if (conv.pixels > 0) kernels_.run(conv);
  });
}

void TileConvStep::RunOnPlanes(const StepRun& run) const {
  const TensorShape& y = run.y.shape;
  const int64_t n_rows = y.n * y.h, x_h = reader_ ? run.input.h : run.x.shape.h,
                x_w = reader_ ? run.input.w : run.x.shape.w;
  const TensorShape x{y.n, x_h, x_w, in_channels_};
  Partition partition = ChoosePartition(x, n_rows, run.pool.threads());
  const int64_t per_image = CeilDiv(y.h, CeilDiv(n_rows, partition.bands));
  partition.bands = y.n * per_image;
  std::vector<int64_t> held(run.pool.threads(), -1);  // the band that each thread's planes are of
  run.pool.ParallelFor(partition.bands * partition.panel_ranges, [&](int64_t i, int thread) {
    const auto [band_of_batch, range] = ItemAt(i, partition);
    const int64_t n = band_of_batch / per_image, band = band_of_batch % per_image;
    const int64_t first = y.h * band / per_image, last = y.h * (band + 1) / per_image;
    const InputPlanes::Layout layout = planes_.LayoutFor(last - first, y.w, x_w);
    char* planes = run.scratch.Of<char>(thread);
    char* row_buffer = planes + layout.bytes;
    auto* floats = reinterpret_cast<float*>(row_buffer + planes_.RowBufferBytes(x_w));
    const auto copy_row = [&](int64_t h, char* buffer) -> const char* {
      if (!reader_) return run.x.At((n * x_h + h) * x_w * in_channels_);
      reader_->ReadRow(run.input, n, h, floats, buffer);
      return buffer;
    };
    if (held[thread] != band_of_batch) {
      planes_.Fill(layout, first, x_h, x_w, row_buffer, planes, copy_row);
      held[thread] = band_of_batch;
    }
    TileConv conv = Describe(run);
    conv.x = planes;
    conv.x_stride = layout.pixel_bytes;
    conv.tap_offsets = layout.taps.data();
    conv.taps = planes_.taps();
    conv.pixels = layout.pixels;
    conv.row_pitch = layout.pitch;
    conv.row_width = y.w;
    const int64_t offset = (n * y.h + first) * y.w * y.c;
    conv.y = run.y.At(offset);
    conv.residual = run.residual.data ? run.residual.At(offset) : nullptr;
    SetPanels(range, partition.panel_ranges, conv);
    kernels_.run(conv);
  });
}

}  // namespace resnet_native::cpu
