#include "native/backends/cpu/steps/pool_steps.h"

#include <algorithm>
#include <limits>

namespace resnet_native::cpu {

MaxPoolStep::MaxPoolStep(const MaxPool2dOp& op, const StepOptions& options)
    : window_(op.window), kernels_(*options.kernels.pool) {}

std::string MaxPoolStep::Kernel() const { return std::string("max ") + kernels_.isa; }

size_t MaxPoolStep::ScratchBytes(const TensorShape&, const TensorShape&, int) const {
  return static_cast<size_t>(window_.kernel_h) * window_.kernel_w * sizeof(const float*);
}

void MaxPoolStep::Run(const StepRun& run) const {
  run.pool.ParallelFor(run.y.shape.n * run.y.shape.h, [&](int64_t row, int thread) {
    RunRow(run.x, run.y, row, run.scratch.Of<const float*>(thread));
  });
}

// Taps in the padding are left out.
void MaxPoolStep::RunRow(const TensorView& x, const TensorView& y, int64_t row, const float** taps) const {
  const int64_t n = row / y.shape.h, oh = row % y.shape.h;
  float* result = y.data + row * y.shape.w * y.shape.c;
  for (int64_t ow = 0; ow < y.shape.w; ++ow, result += y.shape.c) {
    int64_t count = 0;
    for (int ky = 0; ky < window_.kernel_h; ++ky) {
      const int64_t h = oh * window_.stride_h - window_.pad_h + int64_t{ky} * window_.dilation_h;
      if (h < 0 || h >= x.shape.h) continue;
      const float* input_row = x.data + (n * x.shape.h + h) * x.shape.w * x.shape.c;
      for (int kx = 0; kx < window_.kernel_w; ++kx) {
        const int64_t w = ow * window_.stride_w - window_.pad_w + int64_t{kx} * window_.dilation_w;
        if (w >= 0 && w < x.shape.w) taps[count++] = input_row + w * x.shape.c;
      }
    }
    if (count == 0) {  // dilated taps may all lie in the padding
      std::fill(result, result + y.shape.c, -std::numeric_limits<float>::infinity());
    } else {
      kernels_.max(taps, count, y.shape.c, result);
    }
  }
}

GlobalAvgPoolStep::GlobalAvgPoolStep(const StepOptions& options) : kernels_(*options.kernels.pool) {}

std::string GlobalAvgPoolStep::Kernel() const { return std::string("average ") + kernels_.isa; }

void GlobalAvgPoolStep::Run(const StepRun& run) const {
  constexpr int64_t kChannels = 128;
  const TensorShape& x = run.x.shape;
  const int64_t blocks = (x.c + kChannels - 1) / kChannels;
  run.pool.ParallelFor(x.n * blocks, [&](int64_t item, int) {
    const int64_t n = item / blocks, first = item % blocks * kChannels;
    kernels_.average(run.x.data + n * x.h * x.w * x.c + first, {x.h, x.w, x.c},
                     std::min(kChannels, x.c - first), run.y.data + n * x.c + first);
  });
}

}  // namespace resnet_native::cpu
