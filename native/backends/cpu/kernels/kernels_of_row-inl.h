#include "native/backends/cpu/kernels/conv_kernels-inl.h"
#include "native/backends/cpu/kernels/elementwise_kernels-inl.h"
#include "native/backends/cpu/kernels/grouped_kernels-inl.h"
#include "native/backends/cpu/kernels/peak_kernels-inl.h"
#include "native/backends/cpu/kernels/pool_kernels-inl.h"
#include "native/backends/cpu/kernels/winograd_kernels-inl.h"

namespace resnet_native::cpu {
namespace {

// A convolution's tile has up to kMaxBlocks vectors of channels, and kSums sums: as many as leave registers
// for the vectors of weights and one of input. In groups it has up to kColumns sums.
template <class Dot, int kSums, int kMaxBlocks, int kColumns>
constexpr KernelsOfRow MakeKernels() {
  using Storage = typename Dot::Storage;
  return {ConvTables<Dot, kSums, kMaxBlocks>::kKernels,
          GroupedTables<Storage, kColumns>::kKernels,
          kWinogradKernels<Storage>,
          kPoolKernels<Storage>,
          kElementwiseKernels<Storage>,
          kPeakKernels<Dot>};
}

}  // namespace
}  // namespace resnet_native::cpu
