#include "native/backends/cpu/kernels/bfloat16_dot-inl.h"
#include "native/backends/cpu/kernels/kernels_of_row-inl.h"
#include "native/backends/cpu/kernels/simd_generic.h"

namespace resnet_native::cpu {

constexpr KernelsOfRow kFloat32Scalar = MakeKernels<Float32Dot<SimdGeneric<4>>, 12, 2, 10>();
constexpr KernelsOfRow kBfloat16Scalar = MakeKernels<WidenedBfloat16Dot<SimdGeneric<4>>, 8, 2, 10>();

}  // namespace resnet_native::cpu
