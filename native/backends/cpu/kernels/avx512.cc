#include "native/backends/cpu/kernels/kernels_of_row-inl.h"
#include "native/backends/cpu/kernels/simd_avx512.h"

namespace resnet_native::cpu {

constexpr KernelsOfRow kFloat32Avx512 = MakeKernels<Float32Dot<SimdAvx512>, 24, 4, 16>();

}  // namespace resnet_native::cpu
