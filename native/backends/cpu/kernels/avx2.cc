#include "native/backends/cpu/kernels/float32_kernels-inl.h"
#include "native/backends/cpu/kernels/simd_avx2.h"

namespace resnet_native::cpu {

constexpr Float32Kernels kFloat32Avx2 = MakeFloat32Kernels<SimdAvx2, 6, 8>();

}  // namespace resnet_native::cpu
