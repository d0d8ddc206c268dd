#include "native/backends/cpu/steps/pool_steps.h"

#include <algorithm>

#include "native/backends/cpu/arithmetic.h"

namespace resnet_native::cpu {

// Rows in the padding are left out; dilated ones may all lie there.
void MaxPooling::RunRow(const TensorView& x, int64_t first_row, int64_t row, char* y, int64_t y_width,
                        const char** scratch) const {
  const TensorShape& shape = x.shape;
  int64_t count = 0;
  for (int ky = 0; ky < window_.kernel_h; ++ky) {
    const int64_t h = row * window_.stride_h - window_.pad_h + int64_t{ky} * window_.dilation_h;
    if (h >= 0 && h < shape.h) scratch[count++] = x.At((h - first_row) * shape.w * shape.c);
  }
  kernels_.max({scratch, count, shape.w, shape.c, window_.kernel_w, window_.stride_w, window_.pad_w,
                window_.dilation_w, y, y_width});
}

MaxPoolStep::MaxPoolStep(const MaxPool2dOp& op, DType dtype, const StepOptions& options)
    : pooling_(op.window, dtype, options) {}

std::string MaxPoolStep::Kernel() const { return std::string("max ") + pooling_.kernels().isa; }

size_t MaxPoolStep::ScratchBytes(const TensorShape&, const TensorShape&, int) const {
  return pooling_.ScratchBytes();
}

void MaxPoolStep::Run(const StepRun& run) const {
  const TensorShape &x = run.x.shape, &y = run.y.shape;
  run.pool.ParallelFor(y.n * y.h, [&](int64_t i, int thread) {
    const TensorView image = run.x.From(i / y.h * x.h * x.w * x.c);
    pooling_.RunRow(image, 0, i % y.h, run.y.At(i * y.w * y.c), y.w, run.scratch.Of<const char*>(thread));
  });
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
