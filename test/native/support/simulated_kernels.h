#pragma once

#include "native/backends/cuda/device.h"

namespace resnet_native::testing {

// What a launch computes, on the host: float32 sums, one rounding. Convolution is a plain gather and dot
// product, the rest the reference backend's kernels. int8 is not simulated.
void ComputeOnHost(const cuda::Operation& operation, const cuda::Operands& operands);

}  // namespace resnet_native::testing
