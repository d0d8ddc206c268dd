#include "native/backends/cpu/dispatch.h"

#include "native/graph/overloaded.h"

namespace resnet_native::cpu {
namespace {

void AddRows(std::vector<KernelRow>& rows, const KernelsOfRow& kernels, DType dtype, Features needs) {
  rows.push_back({&kernels.conv, dtype, needs});
  rows.push_back({&kernels.winograd, dtype, needs});
  rows.push_back({&kernels.pool, dtype, needs});
  rows.push_back({&kernels.elementwise, dtype, needs});
  rows.push_back({&kernels.peak, dtype, needs});
}

std::vector<KernelRow> AllRows() {
  std::vector<KernelRow> rows;
  AddRows(rows, kFloat32Scalar, DType::kFloat32, 0);
#if defined(__aarch64__)
  AddRows(rows, kFloat32Neon, DType::kFloat32, kNeon);
#elif defined(__x86_64__)
  AddRows(rows, kFloat32Avx2, DType::kFloat32, kAvx2Fma);
  AddRows(rows, kFloat32Avx512, DType::kFloat32, kAvx512);
#endif
  return rows;
}

}  // namespace

const std::vector<KernelRow>& KernelRows() {
  static const std::vector<KernelRow> rows = AllRows();
  return rows;
}

KernelTable::KernelTable(Features features) {
  for (const KernelRow& row : KernelRows()) {
    if (row.needs & ~features) continue;
    KernelSet& set = (*this)[row.dtype];
    std::visit(Overloaded{
                   [&](const ConvKernels* kernels) { set.conv = kernels; },
                   [&](const WinogradKernels* kernels) { set.winograd = kernels; },
                   [&](const PoolKernels* kernels) { set.pool = kernels; },
                   [&](const ElementwiseKernels* kernels) { set.elementwise = kernels; },
                   [&](const PeakKernels* kernels) { set.peak = kernels; },
               },
               row.kernels);
  }
}

}  // namespace resnet_native::cpu
