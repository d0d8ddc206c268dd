#include "native/backends/cpu/kernels/bfloat16_dot-inl.h"
#include "native/backends/cpu/kernels/kernels_of_row-inl.h"
#include "native/backends/cpu/kernels/simd_avx512.h"

namespace resnet_native::cpu {

constexpr KernelsOfRow kFloat32Avx512 = MakeKernels<Float32Dot<SimdAvx512>, 24, 4, 14>();
constexpr KernelsOfRow kBfloat16Avx512 = MakeKernels<WidenedBfloat16Dot<SimdAvx512>, 24, 2, 14>();

}  // namespace resnet_native::cpu
