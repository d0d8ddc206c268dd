#include "native/backends/cpu/kernels/bfloat16_dot-inl.h"
#include "native/backends/cpu/kernels/kernels_of_row-inl.h"
#include "native/backends/cpu/kernels/simd_neon.h"

namespace resnet_native::cpu {

constexpr KernelsOfRow kFloat32Neon = MakeKernels<Float32Dot<SimdNeon>, 24, 2, 14>();
constexpr KernelsOfRow kBfloat16Neon = MakeKernels<WidenedBfloat16Dot<SimdNeon>, 20, 2, 14>();

}  // namespace resnet_native::cpu
