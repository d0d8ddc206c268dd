#include "native/backends/cpu/steps/elementwise_steps.h"

#include <algorithm>
#include <cmath>

#include "native/backends/cpu/steps/pieces.h"

namespace resnet_native::cpu {

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

}  // namespace resnet_native::cpu
