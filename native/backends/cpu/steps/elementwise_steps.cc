#include "native/backends/cpu/steps/elementwise_steps.h"

#include <algorithm>
#include <cmath>

namespace resnet_native::cpu {
namespace {

// Enough work to be worth waking a thread for.
constexpr int64_t kChunk = 1 << 14;

// Calls body(first, count) for pieces of [0, total) of about kChunk / weight.
template <class Body>
void ForEachPiece(ThreadPool& pool, int64_t total, int64_t weight, const Body& body) {
  const int64_t piece = std::max<int64_t>(kChunk / weight, 1);
  pool.ParallelFor((total + piece - 1) / piece,
                   [&](int64_t i, int) { body(i * piece, std::min(piece, total - i * piece)); });
}

}  // namespace

void InputStep::Run(const StepRun& run) const {
  const TensorShape& y = run.y.shape;
  ForEachPiece(run.pool, y.n * y.h, y.w * y.c, [&](int64_t first, int64_t count) {
    for (int64_t row = first; row < first + count; ++row) {
      reader_.ReadRow(run.input, row / y.h, row % y.h, run.y.data + row * y.w * y.c);
    }
  });
}

BatchNormStep::BatchNormStep(const BatchNormOp& op, const StepOptions& options)
    : kernels_(*options.kernels.elementwise) {
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
  ForEachPiece(run.pool, x.n * x.h * x.w, x.c, [&](int64_t first, int64_t count) {
    kernels_.affine(run.x.data + first * x.c, count, x.c, scale_.data(), shift_.data(),
                    run.y.data + first * x.c);
  });
}

void ReluStep::Run(const StepRun& run) const {
  ForEachPiece(run.pool, run.x.shape.elements(), 1, [&](int64_t first, int64_t count) {
    kernels_.relu(run.x.data + first, count, run.y.data + first);
  });
}

void AddStep::Run(const StepRun& run) const {
  ForEachPiece(run.pool, run.x.shape.elements(), 1, [&](int64_t first, int64_t count) {
    kernels_.add(run.x.data + first, run.residual.data + first, count, relu_, run.y.data + first);
  });
}

void ZeroPadShortcutStep::Run(const StepRun& run) const {
  const TensorShape &x = run.x.shape, &y = run.y.shape;
  ForEachPiece(run.pool, y.n * y.h, y.w * y.c, [&](int64_t first, int64_t count) {
    for (int64_t row = first; row < first + count; ++row) {
      const float* from = run.x.data + (row / y.h * x.h + row % y.h * stride_) * x.w * x.c;
      float* to = run.y.data + row * y.w * y.c;
      for (int64_t w = 0; w < y.w; ++w, from += stride_ * x.c, to += y.c) {
        std::copy_n(from, x.c, to);
        std::fill(to + x.c, to + y.c, 0.0f);
      }
    }
  });
}

void FlattenStep::Run(const StepRun& run) const { StoreNchw(kernels_, run.x, run.pool, run.y.data); }

void StoreNchw(const ElementwiseKernels& kernels, const TensorView& x, ThreadPool& pool, float* y) {
  constexpr int64_t kChannels = 64;
  const TensorShape& shape = x.shape;
  const int64_t pixels = shape.h * shape.w;
  if (pixels == 1) {
    std::copy_n(x.data, shape.n * shape.c, y);
    return;
  }
  const int64_t blocks = (shape.c + kChannels - 1) / kChannels;
  pool.ParallelFor(shape.n * blocks, [&](int64_t item, int) {
    const int64_t n = item / blocks, first = item % blocks * kChannels;
    kernels.transpose(x.data + n * pixels * shape.c + first, pixels, std::min(kChannels, shape.c - first),
                      shape.c, pixels, y + (n * shape.c + first) * pixels);
  });
}

}  // namespace resnet_native::cpu
