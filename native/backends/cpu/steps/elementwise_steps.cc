#include "native/backends/cpu/steps/elementwise_steps.h"

#include <algorithm>
#include <cmath>

#include "native/backends/cpu/arithmetic.h"

namespace resnet_native::cpu {
namespace {

// Enough work to be worth waking a thread for.
constexpr int64_t kChunk = 1 << 14;

// Calls body(first, count, thread) for pieces of [0, total) of about kChunk / weight.
template <class Body>
void ForEachPiece(ThreadPool& pool, int64_t total, int64_t weight, const Body& body) {
  const int64_t piece = std::max<int64_t>(kChunk / weight, 1);
  pool.ParallelFor(CeilDiv(total, piece), [&](int64_t i, int thread) {
    body(i * piece, std::min(piece, total - i * piece), thread);
  });
}

// Half as wide, and in NCHW order. Networks average before they flatten, so this is not tuned.
void TransposeHalves(const TensorView& x, ThreadPool& pool, uint16_t* y) {
  const int64_t pixels = x.shape.h * x.shape.w, channels = x.shape.c;
  pool.ParallelFor(x.shape.n, [&](int64_t n, int) {
    const uint16_t* from = x.As<const uint16_t>() + n * pixels * channels;
    uint16_t* to = y + n * pixels * channels;
    for (int64_t p = 0; p < pixels; ++p) {
      for (int64_t c = 0; c < channels; ++c) to[c * pixels + p] = from[p * channels + c];
    }
  });
}

}  // namespace

size_t InputStep::ScratchBytes(const TensorShape& x, const TensorShape&, int) const {
  return reader_.ScratchBytes(x.w);
}

void InputStep::Run(const StepRun& run) const {
  const TensorShape& y = run.y.shape;
  ForEachPiece(run.pool, y.n * y.h, y.w * y.c, [&](int64_t first, int64_t count, int thread) {
    for (int64_t row = first; row < first + count; ++row) {
      reader_.ReadRow(run.input, row / y.h, row % y.h, run.scratch.Of<float>(thread),
                      run.y.At(row * y.w * y.c));
    }
  });
}

BatchNormStep::BatchNormStep(const BatchNormOp& op, DType dtype, const StepOptions& options)
    : kernels_(*options.kernels[dtype].elementwise) {
  for (size_t c = 0; c < op.running_mean.size; ++c) {
    const double gamma = op.weight.empty() ? 1.0 : op.weight[c];
    const double beta = op.bias.empty() ? 0.0 : op.bias[c];
    const double scale = gamma / std::sqrt(static_cast<double>(op.running_var[c]) + op.eps);
    scale_.push_back(static_cast<float>(scale));
    shift_.push_back(static_cast<float>(beta - op.running_mean[c] * scale));
  }
}

void BatchNormStep::Run(const StepRun& run) const {
  const TensorShape& x = run.x.shape;
  ForEachPiece(run.pool, x.n * x.h * x.w, x.c, [&](int64_t first, int64_t count, int) {
    kernels_.affine(run.x.At(first * x.c), count, x.c, scale_.data(), shift_.data(), run.y.At(first * x.c));
  });
}

void ReluStep::Run(const StepRun& run) const {
  ForEachPiece(run.pool, run.x.shape.elements(), 1, [&](int64_t first, int64_t count, int) {
    kernels_.relu(run.x.At(first), count, run.y.At(first));
  });
}

void AddStep::Run(const StepRun& run) const {
  ForEachPiece(run.pool, run.x.shape.elements(), 1, [&](int64_t first, int64_t count, int) {
    kernels_.add(run.x.At(first), run.residual.At(first), count, relu_, run.y.At(first));
  });
}

void ZeroPadShortcutStep::Run(const StepRun& run) const {
  const TensorShape &x = run.x.shape, &y = run.y.shape;
  const int64_t x_bytes = x.c * ElementBytes(run.x.dtype), y_bytes = y.c * ElementBytes(run.y.dtype);
  ForEachPiece(run.pool, y.n * y.h, y.w * y.c, [&](int64_t first, int64_t count, int) {
    for (int64_t row = first; row < first + count; ++row) {
      const char* from = run.x.At((row / y.h * x.h + row % y.h * stride_) * x.w * x.c);
      char* to = run.y.At(row * y.w * y.c);
      for (int64_t w = 0; w < y.w; ++w, from += stride_ * x_bytes, to += y_bytes) {
        std::copy_n(from, x_bytes, to);
        std::fill(to + x_bytes, to + y_bytes, zero_);
      }
    }
  });
}

void FlattenStep::Run(const StepRun& run) const {
  const TensorShape& x = run.x.shape;
  if (x.h * x.w == 1) {
    std::copy_n(run.x.data, x.elements() * ElementBytes(run.x.dtype), run.y.data);
  } else if (run.x.dtype == DType::kFloat32) {
    StoreNchw(kernels_, run.x, run.pool, run.y.As<float>());
  } else {
    TransposeHalves(run.x, run.pool, run.y.As<uint16_t>());
  }
}

void StoreNchw(const ElementwiseKernels& kernels, const TensorView& x, ThreadPool& pool, float* y) {
  constexpr int64_t kChannels = 64, kPixels = 64;
  const TensorShape& shape = x.shape;
  const int64_t pixels = shape.h * shape.w;
  if (pixels == 1) {
    kernels.widen(x.data, shape.n * shape.c, y);
    return;
  }
  const int64_t blocks = CeilDiv(shape.c, kChannels);
  pool.ParallelFor(shape.n * blocks, [&](int64_t item, int) {
    const int64_t n = item / blocks, first = item % blocks * kChannels;
    const int64_t channels = std::min(kChannels, shape.c - first);
    const char* from = x.At(n * pixels * shape.c + first);
    float* to = y + (n * shape.c + first) * pixels;
    if (x.dtype == DType::kFloat32) {
      kernels.transpose(reinterpret_cast<const float*>(from), pixels, channels, shape.c, pixels, to);
      return;
    }
    alignas(kCacheLine) float floats[kPixels * kChannels];
    for (int64_t p = 0; p < pixels; p += kPixels) {
      const int64_t count = std::min(kPixels, pixels - p);
      for (int64_t i = 0; i < count; ++i) {
        kernels.widen(from + (p + i) * shape.c * ElementBytes(x.dtype), channels, floats + i * kChannels);
      }
      kernels.transpose(floats, count, channels, kChannels, pixels, to + p);
    }
  });
}

}  // namespace resnet_native::cpu
