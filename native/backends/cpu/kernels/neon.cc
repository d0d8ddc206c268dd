#include "native/backends/cpu/kernels/float32_kernels-inl.h"
#include "native/backends/cpu/kernels/simd_neon.h"

namespace resnet_native::cpu {

constexpr Float32Kernels kFloat32Neon = MakeFloat32Kernels<SimdNeon, 12, 12>();

}  // namespace resnet_native::cpu
