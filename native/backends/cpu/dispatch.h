#pragma once

#include <variant>
#include <vector>

#include "native/backends/cpu/cpu_features.h"
#include "native/backends/cpu/kernels/int8_kernels.h"
#include "native/backends/cpu/kernels/kernels.h"
#include "native/tensor.h"

namespace resnet_native::cpu {

// One row of the dispatch table: which operation (the alternative that `kernels` holds), for which data type,
// and what the machine must have. A new data type, algorithm or tile unit is a struct in kernels.h and rows
// in dispatch.cc.
struct KernelRow {
  std::variant<const ConvKernels*, const GroupedKernels*, const TileConvKernels*, const WinogradKernels*,
               const PoolKernels*, const ElementwiseKernels*, const PeakKernels*, const Int8Kernels*>
      kernels;
  DType dtype;
  Features needs;
};

// All rows of this build, in order of preference: the best last. The scalar rows are always there.
const std::vector<KernelRow>& KernelRows();

// The kernels that work on one data type.
struct KernelSet {
  const ConvKernels* conv = nullptr;
  const GroupedKernels* grouped = nullptr;
  const WinogradKernels* winograd = nullptr;
  const PoolKernels* pool = nullptr;
  const ElementwiseKernels* elementwise = nullptr;
  const PeakKernels* peak = nullptr;
  const TileConvKernels* tiles = nullptr;  // null where there are no tile units
  const Int8Kernels* int8 = nullptr;       // of kInt8, which has no others but pool

  // Whether a network can be computed with them.
  bool IsComplete() const { return int8 || (conv && grouped && pool && elementwise); }
};

// The kernels that a plan is made of, by the data type that they work on.
class KernelTable {
 public:
  // The best row of each operation and data type that needs nothing beyond `features`.
  explicit KernelTable(Features features);
  // Tests bring rows of their own.
  KernelTable() = default;

  const KernelSet& operator[](DType dtype) const { return sets_[static_cast<size_t>(dtype)]; }
  KernelSet& operator[](DType dtype) { return sets_[static_cast<size_t>(dtype)]; }

 private:
  KernelSet sets_[kDTypes];
};

}  // namespace resnet_native::cpu
