#include "native/backends/cpu/kernels/float32_kernels-inl.h"
#include "native/backends/cpu/kernels/simd_generic.h"

namespace resnet_native::cpu {

constexpr Float32Kernels kFloat32Scalar = MakeFloat32Kernels<SimdGeneric<4>, 6, 8>();

}  // namespace resnet_native::cpu
