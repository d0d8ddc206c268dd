#pragma once

#include "native/backends/cuda/gpu/kernels/grid.h"

namespace resnet_native::cuda {

// One pass of a resize (native/image/filter.h), byte for byte what the host does: sums are exact integers.
// Bytes lie as [outer][axis][inner], of which `axis` is resized: rows of pixels of 3 bytes across, whole rows
// down. The filter's three arrays are in device memory.
struct ResampleBytes {
  static constexpr int kWeightBits = 22;

  const uint8_t* x;
  uint8_t* y;
  const int32_t* first;
  const int32_t* count;
  const int32_t* weights;
  int64_t in_axis;
  int weight_stride;
  Divisor inner, out_axis;
  uint32_t threads;  // outer * out_axis * inner

  HOST_DEVICE void operator()(uint32_t thread) const {
    uint32_t rest = thread;
    const uint32_t place = inner.Split(rest), output = out_axis.Split(rest);
    const int64_t outer = rest, step = inner.divisor;
    const uint8_t* from = x + (outer * in_axis + first[output]) * step + place;
    const int32_t* weight = weights + int64_t{output} * weight_stride;
    int32_t sum = 1 << (kWeightBits - 1);
    for (int k = 0; k < count[output]; ++k) sum += weight[k] * int32_t{from[k * step]};
    sum >>= kWeightBits;
    y[thread] = static_cast<uint8_t>(sum < 0 ? 0 : sum > 255 ? 255 : sum);
  }
};

}  // namespace resnet_native::cuda
