#include "native/backends/cpu/kernels/bfloat16_dot-inl.h"
#include "native/backends/cpu/kernels/kernels_of_row-inl.h"
#include "native/backends/cpu/kernels/simd_avx512_bf16.h"

namespace resnet_native::cpu {

constexpr KernelsOfRow kBfloat16Avx512Bf16 = MakeKernels<Bfloat16Dot<SimdAvx512Bf16>, 24, 4, 14>();

}  // namespace resnet_native::cpu
