#include "native/backends/cpu/steps/pooled_conv_step.h"

#include <algorithm>
#include <cstring>

#include "native/backends/cpu/arithmetic.h"
#include "native/backends/cpu/cpu_info.h"

namespace resnet_native::cpu {
namespace {

constexpr int64_t kBandsPerThread = 8;
// The share of the second-level cache that a band's rows take: their input and the weights need room as well.
constexpr int64_t kShareOfCache = 8;

}  // namespace

PooledConvStep::PooledConvStep(const Conv2dOp& op, std::unique_ptr<const BandStep> conv, DType dtype,
                               const StepOptions& options)
    : conv_window_(op.window),
      out_channels_(op.out_channels),
      element_(ElementBytes(dtype)),
      conv_(std::move(conv)),
      pooling_(*op.max_pool, dtype, options) {}

TensorShape PooledConvStep::ConvolvedShape(const TensorShape& x) const {
  return {x.n, conv_window_.OutH(x.h), conv_window_.OutW(x.w), out_channels_};
}

int64_t PooledConvStep::RowsUnder(int64_t rows, const TensorShape& convolved) const {
  const Window& window = pooling_.window();
  return std::min(convolved.h, (rows - 1) * window.stride_h + window.ExtentH());
}

int64_t PooledConvStep::BandsPerImage(const TensorShape& convolved, const TensorShape& y, int threads) const {
  const int64_t cached = static_cast<int64_t>(Caches().l2) / kShareOfCache / RowBytes(convolved);
  const int64_t fitting = (cached - RowsUnder(1, convolved)) / pooling_.window().stride_h + 1;
  const int64_t fair = y.n * y.h / (kBandsPerThread * threads);
  return CeilDiv(y.h, std::max<int64_t>(std::min(fitting, fair), 1));
}

size_t PooledConvStep::RowsBytes(const TensorShape& convolved, int64_t rows) const {
  return static_cast<size_t>(RoundUp(RowsUnder(rows, convolved) * RowBytes(convolved), kCacheLine));
}

size_t PooledConvStep::PoolBytes() const {
  return static_cast<size_t>(RoundUp(static_cast<int64_t>(pooling_.ScratchBytes()), kCacheLine));
}

size_t PooledConvStep::ScratchBytes(const TensorShape& x, const TensorShape& y, int threads) const {
  const TensorShape convolved = ConvolvedShape(x);
  const int64_t rows = CeilDiv(y.h, BandsPerImage(convolved, y, threads));
  return RowsBytes(convolved, rows) + PoolBytes() + conv_->BandBytes(x, RowsUnder(rows, convolved));
}

void PooledConvStep::Run(const StepRun& run) const {
  const TensorShape &y = run.y.shape, convolved = ConvolvedShape(run.x.shape);
  const int64_t per_image = BandsPerImage(convolved, y, run.pool.threads());
  const size_t rows_bytes = RowsBytes(convolved, CeilDiv(y.h, per_image));
  std::vector<Band> held(run.pool.threads(), {-1, 0, 0});
  run.pool.ParallelFor(y.n * per_image, [&](int64_t i, int thread) {
    const Band band = Band::At(i, per_image, y.h);
    char* scratch = run.scratch.Of<char>(thread);
    const Buffers buffers{{scratch, convolved, run.y.dtype},
                          reinterpret_cast<const char**>(scratch + rows_bytes),
                          scratch + rows_bytes + PoolBytes()};
    Convolve(run, RowsFor(band, convolved), buffers, held[thread]);
    for (int64_t row = band.first; row < band.end(); ++row) {
      pooling_.RunRow(buffers.rows, held[thread].first, row, run.y.At((band.n * y.h + row) * y.w * y.c), y.w,
                      buffers.pool);
    }
  });
}

PooledConvStep::Band PooledConvStep::RowsFor(const Band& band, const TensorShape& convolved) const {
  const Window& window = pooling_.window();
  const int64_t first = band.first * window.stride_h - window.pad_h;
  const int64_t end = (band.end() - 1) * window.stride_h - window.pad_h + window.ExtentH();
  const int64_t inside = std::clamp<int64_t>(first, 0, convolved.h);
  return {band.n, inside, std::clamp<int64_t>(end, inside, convolved.h) - inside};
}

void PooledConvStep::Convolve(const StepRun& run, const Band& wanted, const Buffers& buffers,
                              Band& held) const {
  const TensorShape& shape = buffers.rows.shape;
  int64_t kept = 0;
  if (held.n == wanted.n && held.first <= wanted.first && wanted.first < held.end()) {
    kept = std::min(held.end() - wanted.first, wanted.rows);
    const int64_t bytes = RowBytes(shape);
    std::memmove(buffers.rows.data, buffers.rows.data + (wanted.first - held.first) * bytes, kept * bytes);
  }
  held = wanted;
  if (kept == wanted.rows) return;
  const TensorView missing = buffers.rows.From(kept * shape.w * shape.c);
  conv_->RunBand({run.input, run.x, {}, missing, run.pool, run.scratch},
                 {wanted.n, wanted.first + kept, wanted.rows - kept}, buffers.conv);
}

}  // namespace resnet_native::cpu
