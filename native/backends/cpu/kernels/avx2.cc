#include "native/backends/cpu/kernels/bfloat16_dot-inl.h"
#include "native/backends/cpu/kernels/kernels_of_row-inl.h"
#include "native/backends/cpu/kernels/simd_avx2.h"

namespace resnet_native::cpu {

constexpr KernelsOfRow kFloat32Avx2 = MakeKernels<Float32Dot<SimdAvx2>, 12, 2, 10>();
constexpr KernelsOfRow kBfloat16Avx2 = MakeKernels<WidenedBfloat16Dot<SimdAvx2>, 8, 2, 10>();

}  // namespace resnet_native::cpu
