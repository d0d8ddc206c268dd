#include "native/backends/cpu/steps/int8_steps.h"

#include <algorithm>
#include <cstring>

#include "native/backends/cpu/arithmetic.h"
#include "native/backends/cpu/steps/pieces.h"

namespace resnet_native::cpu {
namespace {

// `channels` rows of w bytes as w pixels. A pixel of three bytes is stored as four, of which the next one
// replaces the last.
void Interleave(const uint8_t* rows, int64_t w, int64_t channels, uint8_t* y) {
  int64_t i = 0;
  if (channels == 3) {
    for (; i + 1 < w; ++i) {
      const uint32_t pixel = rows[i] | rows[w + i] << 8 | rows[2 * w + i] << 16;
      std::memcpy(y + 3 * i, &pixel, sizeof pixel);
    }
  }
  for (; i < w; ++i) {
    for (int64_t c = 0; c < channels; ++c) y[i * channels + c] = rows[c * w + i];
  }
}

}  // namespace

QuantizeInputStep::QuantizeInputStep(int channels, const std::optional<ChannelAffine>& normalize,
                                     const Quantization& to, const StepOptions& options)
    : channels_(channels),
      to_(to),
      pixels_(QuantizedPixels(channels, normalize, to)),
      kernels_(*options.kernels[DType::kInt8].int8) {}

size_t QuantizeInputStep::ScratchBytes(const TensorShape& x, const TensorShape&, int) const {
  return static_cast<size_t>(x.w * channels_);
}

void QuantizeInputStep::Run(const StepRun& run) const {
  const int64_t rows = run.input.n * run.input.h, row_size = run.input.w * channels_;
  ForEachPiece(run.pool, rows, row_size, [&](int64_t first, int64_t count, int thread) {
    for (int64_t row = first; row < first + count; ++row) {
      QuantizeRow(run.input, row / run.input.h, row % run.input.h, run.scratch.Of<uint8_t>(thread),
                  run.y.As<uint8_t>() + row * row_size);
    }
  });
}

void QuantizeInputStep::QuantizeRow(const InputBatch& input, int64_t n, int64_t h, uint8_t* scratch,
                                    uint8_t* y) const {
  const int64_t row_size = input.w * channels_;
  const auto* floats = static_cast<const float*>(input.images[n]);
  const auto quantize = [&](const float* x, int64_t count, uint8_t* to) {
    kernels_.quantize(x, count, 1.0f / to_.scale, static_cast<float>(to_.zero_point), to);
  };
  if (input.dtype == DType::kUint8) {
    const auto* x = static_cast<const uint8_t*>(input.images[n]) + h * row_size;
    for (int64_t i = 0; i < row_size; i += channels_) {
      for (int64_t c = 0; c < channels_; ++c) y[i + c] = pixels_[c][x[i + c]];
    }
  } else if (input.layout == Layout::kNhwc) {
    quantize(floats + h * row_size, row_size, y);
  } else {
    for (int64_t c = 0; c < channels_; ++c) {
      quantize(floats + (c * input.h + h) * input.w, input.w, scratch + c * input.w);
    }
    Interleave(scratch, input.w, channels_, y);
  }
}

void QuantizeStep::Run(const StepRun& run) const {
  ForEachPiece(run.pool, run.x.shape.elements(), 1, [&](int64_t first, int64_t count, int) {
    kernels_.quantize(run.x.As<float>() + first, count, 1.0f / to_.scale, static_cast<float>(to_.zero_point),
                      run.y.As<uint8_t>() + first);
  });
}

void DequantizeStep::Run(const StepRun& run) const {
  ForEachPiece(run.pool, run.x.shape.elements(), 1, [&](int64_t first, int64_t count, int) {
    kernels_.dequantize(run.x.As<uint8_t>() + first, count, from_.scale, from_.zero_point,
                        run.y.As<float>() + first);
  });
}

Int8RescaleStep::Int8RescaleStep(const Quantization& a, const std::optional<Quantization>& b,
                                 const std::optional<Quantization>& y, bool relu, const StepOptions& options)
    : to_(RequantizeSum(a, b, y)), relu_(relu), kernels_(*options.kernels[DType::kInt8].int8) {}

void Int8RescaleStep::Run(const StepRun& run) const {
  ForEachPiece(run.pool, run.x.shape.elements(), 1, [&](int64_t first, int64_t count, int) {
    kernels_.rescale(
        {run.x.As<uint8_t>() + first, run.residual.data ? run.residual.As<uint8_t>() + first : nullptr, count,
         to_.multiplier[0], to_.residual_multiplier, to_.offset[0], run.y.At(first), to_.to_bytes, relu_});
  });
}

void Int8GlobalAvgPoolStep::Run(const StepRun& run) const {
  const TensorShape& x = run.x.shape;
  const int64_t blocks = CeilDiv(x.c, kInt8Panel), pixels = x.h * x.w;
  const Requantization to = RequantizeMean(x_, pixels, y_);
  alignas(kCacheLine) float multiplier[kInt8Panel], offset[kInt8Panel];
  std::fill_n(multiplier, kInt8Panel, to.multiplier[0]);
  std::fill_n(offset, kInt8Panel, to.offset[0]);
  run.pool.ParallelFor(x.n * blocks, [&](int64_t item, int) {
    const int64_t n = item / blocks, first = item % blocks * kInt8Panel;
    const auto channels = static_cast<int>(std::min<int64_t>(kInt8Panel, x.c - first));
    alignas(kCacheLine) int32_t sums[kInt8Panel] = {};
    kernels_.sum_pixels(run.x.As<uint8_t>() + n * pixels * x.c + first, pixels, x.c, channels, sums);
    kernels_.finish({sums, 1, channels, multiplier, offset, nullptr, 0, run.y.At(n * x.c + first), x.c,
                     to.to_bytes, false});
  });
}

}  // namespace resnet_native::cpu
