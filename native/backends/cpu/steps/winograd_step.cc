#include "native/backends/cpu/steps/winograd_step.h"

#include <algorithm>

#include "native/backends/cpu/arithmetic.h"
#include "native/backends/cpu/conv_tiles.h"
#include "native/backends/cpu/cpu_info.h"

namespace resnet_native::cpu {
namespace {

constexpr int64_t kCacheLineFloats = kCacheLine / static_cast<int64_t>(sizeof(float));
constexpr int64_t kMostTiles = 64;           // of a block: by then the filters are used often enough
constexpr int64_t kMostTilesTogether = 128;  // of all threads' block, which lies in memory

// From one position to the next: an odd number of cache lines, so that a tile's positions do not all fall
// into the same set of the cache.
int64_t PositionStride(int64_t floats) { return (CeilDiv(floats, kCacheLineFloats) | 1) * kCacheLineFloats; }

// Where a tile of the batch lies: its image and its first output pixel.
struct TilePlace {
  int64_t n, h, w;

  TilePlace(int64_t tile, int outputs, const TensorShape& y) {
    const int64_t across = CeilDiv(y.w, outputs), down = CeilDiv(y.h, outputs);
    n = tile / (across * down);
    h = tile / across % down * outputs;
    w = tile % across * outputs;
  }
};

int64_t TilesOf(const TensorShape& y, int outputs) {
  return y.n * CeilDiv(y.h, outputs) * CeilDiv(y.w, outputs);
}

}  // namespace

// Tiles that are worked on together: their transformed input and their products, both
// [position][tile][channels].
struct WinogradStep::Block {
  float* v;
  float* m;
  int64_t v_stride, m_stride;  // floats from one position to the next
  int64_t v_channels;          // floats from one tile to the next in v
  int64_t first, last;         // tiles of the batch, [first, last)
};

WinogradStep::WinogradStep(const Conv2dOp& op, WinogradTile tile, DType dtype, const StepOptions& options)
    : pad_h_(op.window.pad_h),
      pad_w_(op.window.pad_w),
      relu_(op.relu),
      isa_(options.kernels[DType::kFloat32].conv->isa),
      kernels_(*options.kernels[dtype].winograd),
      filters_({op.filters, op.bias, op.in_channels, op.out_channels, 1, 3, 3}, tile,
               *options.kernels[DType::kFloat32].conv, options.pool),
      zeros_(std::max<int64_t>(op.in_channels, filters_.padded_out_channels()), 0.0f) {}

std::string WinogradStep::Kernel() const {
  const std::string size = std::to_string(OutputsOf(filters_.tile()));
  return "winograd " + size + "x" + size + " " + isa_;
}

int64_t WinogradStep::Macs(const TensorShape& y) const { return y.elements() * filters_.in_channels() * 9; }

// As many tiles as fit into the second-level cache with their products, so that the filters, which pass by
// once for each block, are used often; and every thread gets as many blocks.
int64_t WinogradStep::BlocksOf(const TensorShape& y, int threads) const {
  const int64_t tiles = TilesOf(y, OutputsOf(filters_.tile()));
  const int64_t fitting = std::clamp<int64_t>(static_cast<int64_t>(Caches().l2) / TileBytes(), 1, kMostTiles);
  return std::min(RoundUp(CeilDiv(tiles, fitting), threads), tiles);
}

// A block for each thread keeps tiles in its cache, but reads all filters. Working together, threads read
// them once, and pass the tiles on to each other twice.
bool WinogradStep::RunsTogether(const TensorShape& y, int threads) const {
  const int64_t tiles = TilesOf(y, OutputsOf(filters_.tile()));
  const int64_t passes = CeilDiv(tiles, kMostTilesTogether);
  return threads > 1 &&
         passes * filters_.bytes() + 2 * tiles * TileBytes() < BlocksOf(y, threads) * filters_.bytes();
}

WinogradStep::Block WinogradStep::BlockOf(float* memory, int64_t first, int64_t last) const {
  const int64_t lanes = filters_.lanes(), tiles = last - first;
  const int64_t v_channels = CeilDiv(filters_.in_channels(), lanes) * lanes;
  const int64_t v_stride = PositionStride(tiles * v_channels);
  const int64_t m_stride = PositionStride(tiles * filters_.padded_out_channels());
  return {memory, memory + filters_.positions() * v_stride, v_stride, m_stride, v_channels, first, last};
}

// What a tile takes in a block.
int64_t WinogradStep::TileBytes() const {
  const int64_t floats = filters_.positions() * (filters_.in_channels() + filters_.padded_out_channels());
  return floats * static_cast<int64_t>(sizeof(float));
}

size_t WinogradStep::BlockBytes(int64_t tiles) const {
  const Block block = BlockOf(nullptr, 0, tiles);
  return static_cast<size_t>(filters_.positions() * (block.v_stride + block.m_stride)) * sizeof(float);
}

size_t WinogradStep::ScratchBytes(const TensorShape&, const TensorShape& y, int threads) const {
  const int64_t tiles = TilesOf(y, OutputsOf(filters_.tile()));
  if (!RunsTogether(y, threads)) return BlockBytes(CeilDiv(tiles, BlocksOf(y, threads)));
  return (BlockBytes(std::min(tiles, kMostTilesTogether)) / threads / kCacheLine + 1) * kCacheLine;
}

void WinogradStep::Run(const StepRun& run) const {
  if (RunsTogether(run.y.shape, run.pool.threads())) {
    RunTogether(run);
  } else {
    RunBlocks(run);
  }
}

// Each thread takes blocks through all three phases, in its own cache.
void WinogradStep::RunBlocks(const StepRun& run) const {
  const int64_t tiles = TilesOf(run.y.shape, OutputsOf(filters_.tile()));
  const int64_t blocks = BlocksOf(run.y.shape, run.pool.threads());
  run.pool.ParallelFor(blocks, [&](int64_t i, int thread) {
    const Block block = BlockOf(run.scratch.Of<float>(thread), tiles * i / blocks, tiles * (i + 1) / blocks);
    for (int64_t tile = block.first; tile < block.last; ++tile) TransformInput(run, block, tile);
    for (int position = 0; position < filters_.positions(); ++position) {
      for (int64_t panel = 0; panel < filters_.panels(); ++panel) Multiply(block, position, panel);
    }
    for (int64_t tile = block.first; tile < block.last; ++tile) TransformOutput(run, block, tile);
  });
}

// All threads work on one block, phase by phase; in the second each takes positions, and so reads its own
// part of the filters.
void WinogradStep::RunTogether(const StepRun& run) const {
  const int64_t tiles = TilesOf(run.y.shape, OutputsOf(filters_.tile()));
  const int64_t blocks = CeilDiv(tiles, kMostTilesTogether);
  for (int64_t i = 0; i < blocks; ++i) {
    const Block block = BlockOf(run.scratch.Of<float>(0), tiles * i / blocks, tiles * (i + 1) / blocks);
    const int64_t count = block.last - block.first;
    run.pool.ParallelFor(count, [&](int64_t tile, int) { TransformInput(run, block, block.first + tile); });
    run.pool.ParallelFor(filters_.positions(), [&](int64_t position, int) {
      for (int64_t panel = 0; panel < filters_.panels(); ++panel) {
        Multiply(block, static_cast<int>(position), panel);
      }
    });
    run.pool.ParallelFor(count, [&](int64_t tile, int) { TransformOutput(run, block, block.first + tile); });
  }
}

void WinogradStep::TransformInput(const StepRun& run, const Block& block, int64_t tile) const {
  const TensorShape& x = run.x.shape;
  const int points = PointsOf(filters_.tile());
  const TilePlace place(tile, OutputsOf(filters_.tile()), run.y.shape);
  const char* pixels[36];
  for (int i = 0; i < points; ++i) {
    const int64_t h = place.h - pad_h_ + i;
    const int64_t row = (place.n * x.h + h) * x.w;
    for (int j = 0; j < points; ++j) {
      const int64_t w = place.w - pad_w_ + j;
      const bool inside = h >= 0 && h < x.h && w >= 0 && w < x.w;
      pixels[i * points + j] =
          inside ? run.x.At((row + w) * x.c) : reinterpret_cast<const char*>(zeros_.data());
    }
  }
  const auto transform = kernels_.input[static_cast<int>(filters_.tile())];
  transform(pixels, x.c, block.v + (tile - block.first) * block.v_channels, block.v_stride);
}

void WinogradStep::Multiply(const Block& block, int position, int64_t panel) const {
  const Tiling tiling(block.last - block.first, filters_.max_pixels());
  const int64_t m_channels = filters_.padded_out_channels();
  const float* v = block.v + position * block.v_stride;
  float* m = block.m + position * block.m_stride + filters_.FirstOut(panel);
  const bool last_panel = panel + 1 == filters_.panels();
  const int next_position = last_panel && position + 1 < filters_.positions() ? position + 1 : position;
  const float* next = filters_.Weights(next_position, last_panel ? 0 : panel + 1);
  const WeightPrefetch prefetch(reinterpret_cast<const char*>(next), filters_.WeightBytes(panel),
                                filters_.in_channels() / 4, tiling.tiles);
  const char* rows[16];
  ConvTile tile{};
  tile.pixels = rows;
  tile.taps = 1;
  tile.channels = filters_.in_channels();
  tile.weights = filters_.Weights(position, panel);
  tile.bias = zeros_.data();
  tile.y_stride = m_channels;
  tile.last_lanes = filters_.lanes();
  for (int64_t t = 0; t < tiling.tiles; ++t) {
    const int64_t begin = tiling.Begin(t), count = tiling.Begin(t + 1) - begin;
    for (int64_t i = 0; i < count; ++i)
      rows[i] = reinterpret_cast<const char*>(v + (begin + i) * block.v_channels);
    tile.y = m + begin * m_channels;
    prefetch.ForTile(t, tile);
    filters_.KernelFor(panel, count)(tile);
  }
}

void WinogradStep::TransformOutput(const StepRun& run, const Block& block, int64_t tile) const {
  const TensorShape& y = run.y.shape;
  const int outputs = OutputsOf(filters_.tile());
  const TilePlace place(tile, outputs, y);
  const int64_t offset = ((place.n * y.h + place.h) * y.w + place.w) * y.c;
  WinogradOutputTile out{};
  out.m = block.m + (tile - block.first) * filters_.padded_out_channels();
  out.position_stride = block.m_stride;
  out.bias = filters_.bias();
  out.residual = run.residual.data ? run.residual.At(offset) : nullptr;
  out.y = run.y.At(offset);
  out.row_stride = y.w * y.c;
  out.pixel_stride = y.c;
  out.rows = static_cast<int>(std::min<int64_t>(outputs, y.h - place.h));
  out.columns = static_cast<int>(std::min<int64_t>(outputs, y.w - place.w));
  out.channels = y.c;
  out.relu = relu_;
  kernels_.output[static_cast<int>(filters_.tile())](out);
}

}  // namespace resnet_native::cpu
