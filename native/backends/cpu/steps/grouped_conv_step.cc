#include "native/backends/cpu/steps/grouped_conv_step.h"

#include <algorithm>

#include "native/backends/cpu/arithmetic.h"
#include "native/backends/cpu/conv_tiles.h"
#include "native/backends/cpu/cpu_info.h"

namespace resnet_native::cpu {
namespace {

constexpr int64_t kBandRows = 14;

std::string Description(const GroupedKernels& kernels) {
  return "grouped " + std::to_string(kernels.max_columns) + "x" + std::to_string(kernels.lanes) + " " +
         kernels.isa;
}

}  // namespace

GroupedConvStep::GroupedConvStep(const Conv2dOp& op, DType dtype, const StepOptions& options)
    : window_(op.window),
      relu_(op.relu),
      filters_(op, *options.kernels[dtype].grouped, options.pool),
      zeros_(op.in_channels * ElementBytes(dtype), 0),
      description_(Description(*options.kernels[dtype].grouped)) {}

int64_t GroupedConvStep::Macs(const TensorShape& y) const {
  return y.elements() * filters_.rows() * window_.kernel_w * filters_.channels();
}

// The first rows of a band are not fetched ahead. A block of panels takes a sixteenth of the second-level
// cache.
GroupedConvStep::Partition GroupedConvStep::PartitionOf(const TensorShape& y, int threads) const {
  const auto panels = static_cast<int64_t>(filters_.panels().size());
  Partition partition{CeilDiv(y.w, filters_.max_columns()), CeilDiv(y.h, kBandRows), 1};
  const int64_t for_cache = CeilDiv(filters_.WeightBytes(), static_cast<int64_t>(Caches().l2 / 16));
  const int64_t pieces = partition.stretches * partition.bands * y.n;
  const int64_t for_threads = threads == 1 ? 1 : CeilDiv(kItemsPerThread * threads, pieces);
  partition.panel_blocks = std::min(std::max(for_cache, for_threads), panels);
  return partition;
}

GroupedConvStep::Item GroupedConvStep::ItemOf(int64_t index, const Partition& partition,
                                              const TensorShape& y) const {
  const auto panels = static_cast<int64_t>(filters_.panels().size());
  const Tiling stretches(y.w, filters_.max_columns());
  const int64_t stretch = index % partition.stretches;
  const int64_t band = index / partition.stretches % partition.bands;
  const int64_t image = index / partition.stretches / partition.bands % y.n;
  const int64_t block = index / partition.stretches / partition.bands / y.n;
  return {image,
          y.h * band / partition.bands,
          y.h * (band + 1) / partition.bands,
          stretches.Begin(stretch),
          stretches.Begin(stretch + 1),
          panels * block / partition.panel_blocks,
          panels * (block + 1) / partition.panel_blocks};
}

int64_t GroupedConvStep::InputRows(int64_t output_rows) const {
  return (output_rows - 1) * window_.stride_h + int64_t{window_.kernel_h - 1} * window_.dilation_h + 1;
}

size_t GroupedConvStep::ScratchBytes(const TensorShape&, const TensorShape&, int) const {
  return static_cast<size_t>(InputRows(kBandRows) * InputColumns(filters_.max_columns())) *
         sizeof(const char*);
}

void GroupedConvStep::Run(const StepRun& run) const {
  const TensorShape& y = run.y.shape;
  const Partition partition = PartitionOf(y, run.pool.threads());
  const int64_t items = partition.stretches * partition.bands * partition.panel_blocks * y.n;
  run.pool.ParallelFor(items, [&](int64_t i, int thread) {
    const Item item = ItemOf(i, partition, y);
    const char** pointers = run.scratch.Of<const char*>(thread);
    FillPointers(run.x, item, pointers);
    RunItem(run, item, pointers);
  });
}

// Channel 0 of each pixel that the item reads, row by row, the padding included.
void GroupedConvStep::FillPointers(const TensorView& x, const Item& item, const char** pointers) const {
  const int64_t top = item.first_row * window_.stride_h - window_.pad_h;
  const int64_t left = item.first_column * window_.stride_w - window_.pad_w;
  const int64_t rows = InputRows(item.last_row - item.first_row);
  const int64_t columns = InputColumns(item.last_column - item.first_column);
  for (int64_t h = top; h < top + rows; ++h) {
    const bool row_inside = h >= 0 && h < x.shape.h;
    const int64_t row = (item.n * x.shape.h + h) * x.shape.w;
    for (int64_t w = left; w < left + columns; ++w) {
      const bool inside = row_inside && w >= 0 && w < x.shape.w;
      *pointers++ = inside ? x.At((row + w) * x.shape.c) : zeros_.data();
    }
  }
}

// All panels row by row: the first-level cache then still has the rows above, and each row's input is fetched
// while the one before is computed.
void GroupedConvStep::RunItem(const StepRun& run, const Item& item, const char* const* pointers) const {
  const TensorShape& y = run.y.shape;
  const int64_t columns = item.last_column - item.first_column, pitch = InputColumns(columns);
  const GroupedKernel kernel = filters_.KernelFor(columns);
  GroupedTile tile{};
  tile.pixel_pitch = pitch * window_.dilation_h;
  tile.rows = filters_.rows();
  tile.channels = filters_.channels();
  tile.group_lanes = filters_.group_lanes();
  tile.y_stride = y.c;
  tile.relu = relu_;
  tile.float_y = run.y.dtype == DType::kFloat32;
  for (int64_t h = item.first_row; h < item.last_row; ++h) {
    tile.pixels = pointers + (h - item.first_row) * window_.stride_h * pitch;
    const char* const* next = tile.pixels + (tile.rows - 1) * tile.pixel_pitch + window_.stride_h * pitch;
    tile.next_pixels = h + 1 < item.last_row ? next : nullptr;
    for (int64_t p = item.first_panel; p < item.last_panel; ++p) {
      const Panel& panel = filters_.panels()[p];
      const int64_t offset = ((item.n * y.h + h) * y.w + item.first_column) * y.c + panel.first_out;
      tile.first_channel = panel.first_in;
      tile.last_lanes = panel.last_lanes;
      tile.weights = filters_.Weights(panel);
      tile.bias = filters_.Bias(panel);
      tile.y = run.y.At(offset);
      tile.residual = run.residual.data ? run.residual.At(offset) : nullptr;
      kernel(tile);
    }
  }
}

}  // namespace resnet_native::cpu
