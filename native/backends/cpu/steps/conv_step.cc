#include "native/backends/cpu/steps/conv_step.h"

#include "native/backends/cpu/steps/pixel_place.h"

namespace resnet_native::cpu {

ConvStep::ConvStep(const Conv2dOp& op, DType dtype, const StepOptions& options)
    : window_(op.window),
      relu_(op.relu),
      filters_(FiltersOf(op), dtype, *options.kernels[dtype].conv, options.pool),
      zeros_(op.in_channels * ElementBytes(dtype), 0) {}

ConvStep::ConvStep(const LinearOp& op, DType dtype, const StepOptions& options)
    : relu_(false), filters_(FiltersOf(op), dtype, *options.kernels[dtype].conv, options.pool) {}

int64_t ConvStep::Macs(const TensorShape& y) const {
  return y.elements() * filters_.taps() * filters_.channels();
}

size_t ConvStep::ScratchBytes(const TensorShape&, const TensorShape& y, int threads) const {
  const Tiling tiling(y.n * y.h * y.w, filters_.max_pixels());
  const int64_t tiles = ChoosePartition(filters_, tiling, threads).MaxTilesPerBlock();
  return static_cast<size_t>(tiles * filters_.max_pixels() * filters_.taps()) * sizeof(const char*);
}

void ConvStep::Run(const StepRun& run) const {
  const TensorShape& y = run.y.shape;
  const Tiling tiling(y.n * y.h * y.w, filters_.max_pixels());
  const Partition partition = ChoosePartition(filters_, tiling, run.pool.threads());
  const ConvOutput output{run.y, run.residual, 0, relu_};
  run.pool.ParallelFor(partition.items(), [&](int64_t i, int thread) {
    const int64_t tiles = i % partition.tile_blocks, panels = i / partition.tile_blocks;
    const ConvItem item{partition.FirstTile(tiles), partition.FirstTile(tiles + 1),
                        partition.FirstPanel(panels), partition.FirstPanel(panels + 1)};
    const char** pointers = run.scratch.Of<const char*>(thread);
    FillPointers(run.x, y, tiling, item, pointers);
    RunConvItem(filters_, tiling, item, pointers, output);
  });
}

void ConvStep::FillPointers(const TensorView& x, const TensorShape& y, const Tiling& tiling,
                            const ConvItem& item, const char** pointers) const {
  PixelPlace place(tiling.Begin(item.first_tile), y);
  for (int64_t tile = item.first_tile; tile < item.last_tile; ++tile) {
    const int64_t count = tiling.Begin(tile + 1) - tiling.Begin(tile);
    for (int64_t i = 0; i < count; ++i, place.Next(y)) {
      const char** tap = pointers + i;
      for (int ky = 0; ky < window_.kernel_h; ++ky) {
        const int64_t h = place.h * window_.stride_h - window_.pad_h + int64_t{ky} * window_.dilation_h;
        const bool row_inside = h >= 0 && h < x.shape.h;
        const int64_t row = (place.n * x.shape.h + h) * x.shape.w;
        for (int kx = 0; kx < window_.kernel_w; ++kx, tap += count) {
          const int64_t w = place.w * window_.stride_w - window_.pad_w + int64_t{kx} * window_.dilation_w;
          const bool inside = row_inside && w >= 0 && w < x.shape.w;
          *tap = inside ? x.At((row + w) * x.shape.c) : zeros_.data();
        }
      }
    }
    pointers += count * filters_.taps();
  }
}

}  // namespace resnet_native::cpu
