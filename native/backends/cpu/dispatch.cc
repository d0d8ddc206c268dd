#include "native/backends/cpu/dispatch.h"

#include "native/error.h"
#include "native/graph/overloaded.h"

namespace resnet_native::cpu {
namespace {

void AddFloat32(std::vector<KernelRow>& rows, const Float32Kernels& kernels, Isa isa) {
  rows.push_back({&kernels.conv, DType::kFloat32, isa});
  rows.push_back({&kernels.winograd, DType::kFloat32, isa});
  rows.push_back({&kernels.pool, DType::kFloat32, isa});
  rows.push_back({&kernels.elementwise, DType::kFloat32, isa});
  rows.push_back({&kernels.peak, DType::kFloat32, isa});
}

std::vector<KernelRow> AllRows() {
  std::vector<KernelRow> rows;
  AddFloat32(rows, kFloat32Scalar, Isa::kScalar);
#if defined(__aarch64__)
  AddFloat32(rows, kFloat32Neon, Isa::kNeon);
#elif defined(__x86_64__)
  AddFloat32(rows, kFloat32Avx2, Isa::kAvx2);
  AddFloat32(rows, kFloat32Avx512, Isa::kAvx512);
#endif
  return rows;
}

}  // namespace

const std::vector<KernelRow>& KernelRows() {
  static const std::vector<KernelRow> rows = AllRows();
  return rows;
}

KernelSet SelectKernels(DType dtype, Isa isa) {
  KernelSet set;
  for (const KernelRow& row : KernelRows()) {
    if (row.dtype != dtype || row.isa > isa) continue;
    std::visit(Overloaded{
                   [&](const ConvKernels* kernels) { set.conv = kernels; },
                   [&](const WinogradKernels* kernels) { set.winograd = kernels; },
                   [&](const PoolKernels* kernels) { set.pool = kernels; },
                   [&](const ElementwiseKernels* kernels) { set.elementwise = kernels; },
                   [&](const PeakKernels* kernels) { set.peak = kernels; },
               },
               row.kernels);
  }
  if (!set.conv || !set.pool || !set.elementwise) {
    throw Error(ErrorCode::kUnsupported, "this CPU has no kernels for the data type asked for");
  }
  return set;
}

}  // namespace resnet_native::cpu
