#pragma once

#include "native/backends/cuda/device.h"

namespace resnet_native::testing {

// How int8 convolutions are computed: to the bit as quantization.h says, or as libraries do, from what is
// stored.
enum class Int8Way { kExact, kLibrary };

// What a launch computes, on the host: float32 sums, one rounding. Convolution is a plain gather and dot
// product, the rest the reference backend's kernels.
void ComputeOnHost(const cuda::Operation& operation, const cuda::Operands& operands,
                   Int8Way way = Int8Way::kExact);

}  // namespace resnet_native::testing
