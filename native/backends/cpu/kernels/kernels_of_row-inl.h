#include "native/backends/cpu/kernels/conv_kernels-inl.h"
#include "native/backends/cpu/kernels/elementwise_kernels-inl.h"
#include "native/backends/cpu/kernels/grouped_kernels-inl.h"
#include "native/backends/cpu/kernels/peak_kernels-inl.h"
#include "native/backends/cpu/kernels/pool_kernels-inl.h"
#include "native/backends/cpu/kernels/winograd_kernels-inl.h"

namespace resnet_native::cpu {
namespace {

// A convolution's tile has up to kMaxBlocks vectors of channels. Its sums, and what it keeps of its pixels,
// take up to kVectors registers: as many as leave some for the weights that pass by, and for a factor that
// does. In groups it has up to kColumns sums.
template <class Dot, int kVectors, int kMaxBlocks, int kColumns>
constexpr KernelsOfRow MakeKernels() {
  using Storage = typename Dot::Storage;
  return {ConvTables<Dot, kVectors, kMaxBlocks>::kKernels,
          GroupedTables<Storage, kColumns>::kKernels,
          kWinogradKernels<Storage>,
          kPoolKernels<Storage>,
          kElementwiseKernels<Storage>,
          kPeakKernels<Dot, (kVectors < 24 ? 12 : 24)>};
}

}  // namespace
}  // namespace resnet_native::cpu
