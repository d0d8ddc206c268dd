#include "native/backends/cpu/steps/nchw.h"

#include <algorithm>

#include "native/backends/cpu/arithmetic.h"

namespace resnet_native::cpu {
namespace {

// Networks average before they flatten, so this is not tuned.
template <class Element>
void Transpose(const TensorView& x, ThreadPool& pool, Element* y) {
  const int64_t pixels = x.shape.h * x.shape.w, channels = x.shape.c;
  pool.ParallelFor(x.shape.n, [&](int64_t n, int) {
    const auto* from = x.As<const Element>() + n * pixels * channels;
    Element* to = y + n * pixels * channels;
    for (int64_t p = 0; p < pixels; ++p) {
      for (int64_t c = 0; c < channels; ++c) to[c * pixels + p] = from[p * channels + c];
    }
  });
}

}  // namespace

void FlattenStep::Run(const StepRun& run) const {
  const int64_t element = ElementBytes(run.x.dtype);
  if (run.x.shape.h * run.x.shape.w == 1) {
    std::copy_n(run.x.data, run.x.shape.elements() * element, run.y.data);
  } else if (element == 1) {
    Transpose(run.x, run.pool, run.y.As<uint8_t>());
  } else if (element == 2) {
    Transpose(run.x, run.pool, run.y.As<uint16_t>());
  } else {
    Transpose(run.x, run.pool, run.y.As<uint32_t>());
  }
}

// Blocks of pixels × channels, widened while they are on their way through the first-level cache.
void StoreNchw(const KernelTable& kernels, const TensorView& x,
               const std::optional<Quantization>& quantization, ThreadPool& pool, float* y) {
  constexpr int64_t kChannels = 64, kPixels = 64;
  const auto widen = [&](const char* from, int64_t count, float* to) {
    if (quantization) {
      kernels[DType::kInt8].int8->dequantize(reinterpret_cast<const uint8_t*>(from), count,
                                             quantization->scale, quantization->zero_point, to);
    } else {
      kernels[x.dtype].elementwise->widen(from, count, to);
    }
  };
  const auto transpose = kernels[DType::kFloat32].elementwise->transpose;
  const TensorShape& shape = x.shape;
  const int64_t pixels = shape.h * shape.w, blocks = CeilDiv(shape.c, kChannels);
  if (pixels == 1) return widen(x.data, shape.elements(), y);
  pool.ParallelFor(shape.n * blocks, [&](int64_t item, int) {
    const int64_t n = item / blocks, first = item % blocks * kChannels;
    const int64_t channels = std::min(kChannels, shape.c - first), origin = n * pixels * shape.c + first;
    float* to = y + (n * shape.c + first) * pixels;
    if (x.dtype == DType::kFloat32)
      return transpose(x.As<float>() + origin, pixels, channels, shape.c, pixels, to);
    alignas(kCacheLine) float floats[kPixels * kChannels];
    for (int64_t p = 0; p < pixels; p += kPixels) {
      const int64_t count = std::min(kPixels, pixels - p);
      for (int64_t i = 0; i < count; ++i) {
        widen(x.At(origin + (p + i) * shape.c), channels, floats + i * kChannels);
      }
      transpose(floats, count, channels, kChannels, pixels, to + p);
    }
  });
}

}  // namespace resnet_native::cpu
