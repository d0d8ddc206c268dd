#include "native/backends/cpu/kernels/float32_kernels-inl.h"
#include "native/backends/cpu/kernels/simd_avx512.h"

namespace resnet_native::cpu {

constexpr Float32Kernels kFloat32Avx512 = MakeFloat32Kernels<SimdAvx512, 14, 16>();

}  // namespace resnet_native::cpu
