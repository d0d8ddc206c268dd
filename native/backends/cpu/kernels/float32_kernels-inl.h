#include "native/backends/cpu/kernels/conv_kernels-inl.h"
#include "native/backends/cpu/kernels/elementwise_kernels-inl.h"
#include "native/backends/cpu/kernels/peak_kernels-inl.h"
#include "native/backends/cpu/kernels/pool_kernels-inl.h"
#include "native/backends/cpu/kernels/winograd_kernels-inl.h"

namespace resnet_native::cpu {
namespace {

// A convolution's tile is kMaxPixels pixels × two vectors: as many sums as leave registers for two vectors of
// weights and one of input.
template <class V, int kMaxPixels, int kGroupedMaxPixels>
constexpr Float32Kernels MakeFloat32Kernels() {
  return {ConvTables<V, kMaxPixels, kGroupedMaxPixels>::kKernels, kWinogradKernels<V>, kPoolKernels<V>,
          kElementwiseKernels<V>, kPeakKernels<V>};
}

}  // namespace
}  // namespace resnet_native::cpu
