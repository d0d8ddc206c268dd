#pragma once

#include <variant>
#include <vector>

#include "native/backends/cpu/cpu_info.h"
#include "native/backends/cpu/kernels/kernels.h"
#include "native/tensor.h"

namespace resnet_native::cpu {

// One row of the dispatch table: which operation (the alternative that `kernels` holds), for which data type,
// on which instruction set. A new data type, algorithm or tile unit is a struct in kernels.h and rows in
// dispatch.cc.
struct KernelRow {
  std::variant<const ConvKernels*, const WinogradKernels*, const PoolKernels*, const ElementwiseKernels*,
               const PeakKernels*>
      kernels;
  DType dtype;
  Isa isa;
};

// All rows of this build, the best last. The scalar float32 rows are always there.
const std::vector<KernelRow>& KernelRows();

// The kernels that a plan is made of.
struct KernelSet {
  const ConvKernels* conv = nullptr;
  const WinogradKernels* winograd = nullptr;
  const PoolKernels* pool = nullptr;
  const ElementwiseKernels* elementwise = nullptr;
  const PeakKernels* peak = nullptr;
};

// The best row of each operation that needs nothing beyond `isa`. Throws kUnsupported if the data type has
// none.
KernelSet SelectKernels(DType dtype, Isa isa);

}  // namespace resnet_native::cpu
