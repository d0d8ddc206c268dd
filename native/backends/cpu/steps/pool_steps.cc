#include "native/backends/cpu/steps/pool_steps.h"

#include <algorithm>

#include "native/backends/cpu/arithmetic.h"

namespace resnet_native::cpu {

MaxPoolStep::MaxPoolStep(const MaxPool2dOp& op, DType dtype, const StepOptions& options)
    : window_(op.window), kernels_(*options.kernels[dtype].pool) {}

std::string MaxPoolStep::Kernel() const { return std::string("max ") + kernels_.isa; }

size_t MaxPoolStep::ScratchBytes(const TensorShape&, const TensorShape&, int) const {
  return static_cast<size_t>(window_.kernel_h) * window_.kernel_w * sizeof(const char*);
}

void MaxPoolStep::Run(const StepRun& run) const {
  run.pool.ParallelFor(run.y.shape.n * run.y.shape.h, [&](int64_t row, int thread) {
    RunRow(run.x, run.y, row, run.scratch.Of<const char*>(thread));
  });
}

// Taps in the padding are left out; dilated ones may all lie there.
void MaxPoolStep::RunRow(const TensorView& x, const TensorView& y, int64_t row, const char** taps) const {
  const int64_t n = row / y.shape.h, oh = row % y.shape.h;
  for (int64_t ow = 0; ow < y.shape.w; ++ow) {
    int64_t count = 0;
    for (int ky = 0; ky < window_.kernel_h; ++ky) {
      const int64_t h = oh * window_.stride_h - window_.pad_h + int64_t{ky} * window_.dilation_h;
      if (h < 0 || h >= x.shape.h) continue;
      const int64_t input_row = (n * x.shape.h + h) * x.shape.w;
      for (int kx = 0; kx < window_.kernel_w; ++kx) {
        const int64_t w = ow * window_.stride_w - window_.pad_w + int64_t{kx} * window_.dilation_w;
        if (w >= 0 && w < x.shape.w) taps[count++] = x.At((input_row + w) * x.shape.c);
      }
    }
    kernels_.max(taps, count, y.shape.c, y.At((row * y.shape.w + ow) * y.shape.c));
  }
}

GlobalAvgPoolStep::GlobalAvgPoolStep(DType dtype, const StepOptions& options)
    : kernels_(*options.kernels[dtype].pool) {}

std::string GlobalAvgPoolStep::Kernel() const { return std::string("average ") + kernels_.isa; }

void GlobalAvgPoolStep::Run(const StepRun& run) const {
  constexpr int64_t kChannels = 128;
  const TensorShape& x = run.x.shape;
  const int64_t blocks = CeilDiv(x.c, kChannels);
  run.pool.ParallelFor(x.n * blocks, [&](int64_t item, int) {
    const int64_t n = item / blocks, first = item % blocks * kChannels;
    kernels_.average(run.x.At(n * x.h * x.w * x.c + first), {x.h, x.w, x.c}, std::min(kChannels, x.c - first),
                     run.y.At(n * x.c + first));
  });
}

}  // namespace resnet_native::cpu
