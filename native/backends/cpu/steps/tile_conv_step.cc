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
  return BandBytes(x, std::min(y.h, CeilDiv(y.n * y.h, ChoosePartition(x, y.n * y.h, threads).bands)));
}

size_t TileConvStep::BandBytes(const TensorShape& x, int64_t rows) const {
  if (direct_) return 0;
  const size_t buffers = planes_.RowBufferBytes(x.w) + (reader_ ? reader_->ScratchBytes(x.w) : 0);
  return planes_.LayoutFor(rows, window_.OutW(x.w), x.w).bytes + buffers;
}

TileConv TileConvStep::Describe(const StepRun& run) const {
  TileConv conv{};
  conv.steps = filters_.steps();
  conv.residual = run.residual.data;
  conv.residual_multiplier = filters_.residual_multiplier();
  conv.y = run.y.data;
  conv.y_stride = run.y.shape.c;
  conv.relu = relu_;
  conv.float_y = run.y.dtype == DType::kFloat32;
  return conv;
}

void TileConvStep::SetPanels(const PanelRange& range, TileConv& conv) const {
  const auto panels = static_cast<int64_t>(filters_.panels().size());
  const int64_t first = panels * range.index / range.ranges,
                behind = panels * (range.index + 1) / range.ranges;
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
    if (last > first) RunPixels(run.From(first), first, last - first, {range, partition.panel_ranges});
  });
}

void TileConvStep::RunPixels(const StepRun& run, int64_t first, int64_t count,
                             const PanelRange& range) const {
  const int64_t no_offset = 0;
  TileConv conv = Describe(run);
  conv.x = run.x.At(first * in_channels_);
  conv.x_stride = in_channels_ * element_;
  conv.tap_offsets = &no_offset;
  conv.taps = 1;
  conv.pixels = conv.row_pitch = conv.row_width = count;
  SetPanels(range, conv);
  kernels_.run(conv);
}

void TileConvStep::RunOnPlanes(const StepRun& run) const {
  const TensorShape& y = run.y.shape;
  const int64_t n_rows = y.n * y.h;
  Partition partition = ChoosePartition(run.x.shape, n_rows, run.pool.threads());
  const int64_t per_image = CeilDiv(y.h, CeilDiv(n_rows, partition.bands));
  partition.bands = y.n * per_image;
  std::vector<int64_t> held(run.pool.threads(), -1);  // the band that each thread's planes are of
  run.pool.ParallelFor(partition.bands * partition.panel_ranges, [&](int64_t i, int thread) {
    const auto [band_of_batch, range] = ItemAt(i, partition);
    const Band band = Band::At(band_of_batch, per_image, y.h);
    const InputPlanes::Layout layout = planes_.LayoutFor(band.rows, y.w, run.x.shape.w);
    char* planes = run.scratch.Of<char>(thread);
    if (held[thread] != band_of_batch) FillPlanes(run, band, layout, planes);
    held[thread] = band_of_batch;
    RunPlanes(run.From(band.FirstPixel(y)), layout, planes, {range, partition.panel_ranges});
  });
}

void TileConvStep::FillPlanes(const StepRun& run, const Band& band, const InputPlanes::Layout& layout,
                              char* scratch) const {
  const int64_t h = run.x.shape.h, w = run.x.shape.w;
  char* row_buffer = scratch + layout.bytes;
  auto* floats = reinterpret_cast<float*>(row_buffer + planes_.RowBufferBytes(w));
  planes_.Fill(layout, band.first, h, w, row_buffer, scratch, [&](int64_t row, char* buffer) -> const char* {
    if (!reader_) return run.x.At((band.n * h + row) * w * in_channels_);
    reader_->ReadRow(run.input, band.n, row, floats, buffer);
    return buffer;
  });
}

void TileConvStep::RunPlanes(const StepRun& run, const InputPlanes::Layout& layout, const char* planes,
                             const PanelRange& range) const {
  TileConv conv = Describe(run);
  conv.x = planes;
  conv.x_stride = layout.pixel_bytes;
  conv.tap_offsets = layout.taps.data();
  conv.taps = planes_.taps();
  conv.pixels = layout.pixels;
  conv.row_pitch = layout.pitch;
  conv.row_width = run.y.shape.w;
  SetPanels(range, conv);
  kernels_.run(conv);
}

void TileConvStep::RunBand(const StepRun& run, const Band& band, char* scratch) const {
  const TensorShape& y = run.y.shape;
  if (direct_) return RunPixels(run, band.FirstPixel(y), band.rows * y.w, {});
  const InputPlanes::Layout layout = planes_.LayoutFor(band.rows, y.w, run.x.shape.w);
  FillPlanes(run, band, layout, scratch);
  RunPlanes(run, layout, scratch, {});
}

}  // namespace resnet_native::cpu
