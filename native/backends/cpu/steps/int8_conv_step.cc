#include "native/backends/cpu/steps/int8_conv_step.h"

#include <algorithm>
#include <cstring>

#include "native/backends/cpu/arithmetic.h"
#include "native/backends/cpu/cpu_info.h"

namespace resnet_native::cpu {
namespace {

constexpr int64_t kItemsPerThread = 2;
constexpr int64_t kMaxBlockPixels = 1024;
constexpr int64_t kSumsBytes = 32 * kInt8Panel * sizeof(int32_t);

}  // namespace

Int8ConvStep::Int8ConvStep(const Conv2dOp& op, const Int8Operands& operands, const StepOptions& options)
    : window_(op.window),
      relu_(op.relu),
      in_channels_(op.in_channels),
      macs_per_output_(int64_t{op.window.kernel_h} * op.window.kernel_w * (op.in_channels / op.groups)),
      zero_(static_cast<uint8_t>(operands.x.zero_point)),
      to_bytes_(operands.y.has_value()),
      kernels_(*options.kernels[DType::kInt8].int8),
      filters_({FiltersOf(op), operands}, kernels_.depth, options.pool),
      padding_(op.in_channels, zero_) {}

Int8ConvStep::Int8ConvStep(const LinearOp& op, const Int8Operands& operands, const StepOptions& options)
    : relu_(false),
      in_channels_(op.in_features),
      macs_per_output_(op.in_features),
      zero_(static_cast<uint8_t>(operands.x.zero_point)),
      to_bytes_(operands.y.has_value()),
      kernels_(*options.kernels[DType::kInt8].int8),
      filters_({FiltersOf(op), operands}, kernels_.depth, options.pool),
      padding_(op.in_features, zero_) {}

std::string Int8ConvStep::Kernel() const {
  return std::string(filters_.block_ranges() ? "int8 grouped " : "int8 ") + kernels_.isa;
}

int64_t Int8ConvStep::Macs(const TensorShape& y) const { return y.elements() * macs_per_output_; }

// A tile that would reach behind the last pixel begins earlier, so there must be as many pixels as it reads.
bool Int8ConvStep::TakesPixelsAsTheyLie(int64_t pixels) const {
  return window_.IsPointwise() && window_.stride_h == 1 && window_.stride_w == 1 && filters_.ranges() == 1 &&
         filters_.row_bytes() == in_channels_ && pixels >= kernels_.max_pixels;
}

int64_t Int8ConvStep::GatheredBytes(int64_t pixels) const {
  return filters_.ranges() * RoundUp(pixels, kernels_.max_pixels) * filters_.row_bytes();
}

// Splitting the pixels reads the weights once more for each block of them, splitting the panels gathers the
// pixels once more.
Int8ConvStep::Partition Int8ConvStep::ChoosePartition(int64_t pixels, int threads) const {
  const auto panels = static_cast<int64_t>(filters_.panels().size());
  const int64_t budget = static_cast<int64_t>(Caches().l2 / 2) / (filters_.ranges() * filters_.row_bytes());
  const int64_t block = std::clamp<int64_t>(budget, kernels_.max_pixels, kMaxBlockPixels);
  const int64_t tiles = CeilDiv(pixels, kernels_.max_pixels);
  Partition partition{std::min(CeilDiv(pixels, block), tiles), 1};
  const int64_t gathered = GatheredBytes(pixels);
  const int64_t wanted = threads == 1 ? 1 : kItemsPerThread * threads;
  while (partition.pixel_blocks * partition.panel_blocks < wanted) {
    const bool can_split_pixels = 2 * partition.pixel_blocks <= tiles;
    const bool can_split_panels = 2 * partition.panel_blocks <= panels;
    if (!can_split_pixels && !can_split_panels) break;
    const bool panels_are_cheaper =
        gathered * partition.panel_blocks < filters_.bytes() * partition.pixel_blocks;
    if (can_split_panels && (panels_are_cheaper || !can_split_pixels)) {
      partition.panel_blocks *= 2;
    } else {
      partition.pixel_blocks *= 2;
    }
  }
  return partition;
}

size_t Int8ConvStep::ScratchBytes(const TensorShape&, const TensorShape& y, int threads) const {
  const int64_t pixels = y.n * y.h * y.w;
  return ItemBytes(CeilDiv(pixels, ChoosePartition(pixels, threads).pixel_blocks));
}

size_t Int8ConvStep::BandBytes(const TensorShape& x, int64_t rows) const {
  return ItemBytes(rows * window_.OutW(x.w));
}

size_t Int8ConvStep::ItemBytes(int64_t pixels) const {
  return static_cast<size_t>(kSumsBytes + RoundUp(GatheredBytes(pixels), kCacheLine));
}

void Int8ConvStep::Run(const StepRun& run) const {
  const TensorShape& y = run.y.shape;
  const int64_t pixels = y.n * y.h * y.w;
  const auto panels = static_cast<int64_t>(filters_.panels().size());
  const Partition partition = ChoosePartition(pixels, run.pool.threads());
  run.pool.ParallelFor(partition.pixel_blocks * partition.panel_blocks, [&](int64_t i, int thread) {
    const int64_t block = i % partition.pixel_blocks, part = i / partition.pixel_blocks;
    const Item item{pixels * block / partition.pixel_blocks, pixels * (block + 1) / partition.pixel_blocks,
                    panels * part / partition.panel_blocks, panels * (part + 1) / partition.panel_blocks};
    RunItem(run.From(item.first_pixel), item, run.scratch.Of<char>(thread));
  });
}

void Int8ConvStep::RunBand(const StepRun& run, const Band& band, char* scratch) const {
  const TensorShape& y = run.y.shape;
  const int64_t first = band.FirstPixel(y);
  RunItem(run, {first, first + band.rows * y.w, 0, static_cast<int64_t>(filters_.panels().size())}, scratch);
}

void Int8ConvStep::RunItem(const StepRun& run, const Item& item, char* scratch) const {
  auto* sums = reinterpret_cast<int32_t*>(scratch);
  auto* gathered = reinterpret_cast<uint8_t*>(scratch + kSumsBytes);
  const int64_t pixels = item.last_pixel - item.first_pixel;
  const bool as_they_lie = TakesPixelsAsTheyLie(pixels);
  Rows rows{gathered, filters_.row_bytes(), RoundUp(pixels, kernels_.max_pixels) * filters_.row_bytes()};
  if (as_they_lie) {
    rows.data = run.x.As<uint8_t>() + item.first_pixel * in_channels_;
  } else {
    Gather(run.x, run.y.shape, item, gathered);
  }
  for (int64_t panel = item.first_panel; panel < item.last_panel; ++panel) {
    for (int64_t first = 0; first < pixels; first += kernels_.max_pixels) {
      const int64_t begin = as_they_lie ? std::min<int64_t>(first, pixels - kernels_.max_pixels) : first;
      const auto count = static_cast<int>(std::min<int64_t>(pixels - begin, kernels_.max_pixels));
      Rows tile = rows;
      tile.data += begin * rows.row_stride;
      RunTile(run, tile, panel, begin, count, sums);
    }
  }
}

void Int8ConvStep::RunTile(const StepRun& run, const Rows& rows, int64_t index, int64_t first_pixel,
                           int pixels, int32_t* sums) const {
  const Int8PackedFilters::Panel& panel = filters_.panels()[index];
  Int8Tile tile{rows.data + panel.first_range * rows.range_stride,
                rows.row_stride,
                pixels,
                filters_.Weights(index, 0),
                filters_.steps(),
                panel.blocks,
                filters_.WeightSums(index, 0),
                sums};
  if (filters_.block_ranges()) {
    tile.blocks = 1;
    for (int block = 0; block < panel.blocks; ++block) {
      kernels_.sums(tile);
      tile.x += rows.range_stride;
      tile.weights = filters_.Weights(index, block + 1);
      tile.weight_sums += kInt8Block;
      tile.sums += kInt8Block;
    }
  } else {
    kernels_.sums(tile);
  }
  const int64_t channels = run.y.shape.c, offset = first_pixel * channels + panel.first_out;
  kernels_.finish({sums, pixels, panel.channels, filters_.Multiplier(index), filters_.Offset(index),
                   run.residual.data ? run.residual.As<uint8_t>() + offset : nullptr,
                   filters_.residual_multiplier(), run.y.At(offset), channels, to_bytes_, relu_});
}

void Int8ConvStep::Gather(const TensorView& x, const TensorShape& y, const Item& item, uint8_t* rows) const {
  const int64_t pixels = item.last_pixel - item.first_pixel;
  const int64_t range_stride = RoundUp(pixels, kernels_.max_pixels) * filters_.row_bytes();
  PixelPlace place(item.first_pixel, y);
  for (int64_t i = 0; i < pixels; ++i, place.Next(y), rows += filters_.row_bytes()) {
    GatherPixel(x, place, rows, range_stride);
  }
}

void Int8ConvStep::GatherPixel(const TensorView& x, const PixelPlace& place, uint8_t* row,
                               int64_t range_stride) const {
  const int64_t first_h = place.h * window_.stride_h - window_.pad_h;
  const int64_t first_w = place.w * window_.stride_w - window_.pad_w;
  const int64_t row_bytes = x.shape.w * in_channels_;
  const uint8_t* image = x.As<uint8_t>() + place.n * x.shape.h * row_bytes;
  const bool inside = first_h >= 0 && first_h + window_.dilation_h * (window_.kernel_h - 1) < x.shape.h &&
                      first_w >= 0 && first_w + window_.kernel_w <= x.shape.w;
  if (inside && filters_.range_channels() == in_channels_ && window_.dilation_w == 1) {
    kernels_.copy_rows(image + first_h * row_bytes + first_w * in_channels_, window_.dilation_h * row_bytes,
                       window_.kernel_h, window_.kernel_w * in_channels_, row);
    return;
  }
  for (int ky = 0; ky < window_.kernel_h; ++ky) {
    const int64_t h = first_h + int64_t{ky} * window_.dilation_h;
    for (int kx = 0; kx < window_.kernel_w; ++kx, row += filters_.range_channels()) {
      const int64_t w = first_w + int64_t{kx} * window_.dilation_w;
      const bool is_pixel = h >= 0 && h < x.shape.h && w >= 0 && w < x.shape.w;
      GatherTap(is_pixel ? image + h * row_bytes + w * in_channels_ : padding_.data(), row, range_stride);
    }
  }
}

void Int8ConvStep::GatherTap(const uint8_t* x, uint8_t* row, int64_t range_stride) const {
  if (!filters_.block_ranges()) {
    for (int64_t range = 0; range < filters_.ranges(); ++range, row += range_stride) {
      kernels_.copy_rows(x + range * filters_.range_channels(), 0, 1, filters_.range_channels(), row);
    }
    return;
  }
  const int64_t whole = in_channels_ / kInt8Block;
  for (int64_t range = 0; range < whole; ++range, row += range_stride) {
    std::memcpy(row, x + range * kInt8Block, kInt8Block);
  }
  std::memcpy(row, x + whole * kInt8Block, static_cast<size_t>(in_channels_ % kInt8Block));
}

}  // namespace resnet_native::cpu
