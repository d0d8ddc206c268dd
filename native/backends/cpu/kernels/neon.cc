#include "native/backends/cpu/kernels/kernels_of_row-inl.h"
#include "native/backends/cpu/kernels/neon_dot-inl.h"

namespace resnet_native::cpu {

constexpr KernelsOfRow kFloat32Neon = MakeKernels<LaneDot<Float32Storage<SimdNeon>>, 30, 4, 14>();
constexpr KernelsOfRow kBfloat16Neon = MakeKernels<LaneDot<Bfloat16Storage<SimdNeon>>, 30, 4, 14>();

}  // namespace resnet_native::cpu
