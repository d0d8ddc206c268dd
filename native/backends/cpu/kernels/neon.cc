#include "native/backends/cpu/kernels/kernels_of_row-inl.h"
#include "native/backends/cpu/kernels/simd_neon.h"

namespace resnet_native::cpu {

constexpr KernelsOfRow kFloat32Neon = MakeKernels<Float32Dot<SimdNeon>, 24, 2, 12>();

}  // namespace resnet_native::cpu
