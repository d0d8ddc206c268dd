#include "native/backends/cpu/dispatch.h"

#include "native/graph/overloaded.h"

namespace resnet_native::cpu {
namespace {

void AddRows(std::vector<KernelRow>& rows, const KernelsOfRow& kernels, DType dtype, Features needs) {
  rows.push_back({&kernels.conv, dtype, needs});
  rows.push_back({&kernels.grouped, dtype, needs});
  rows.push_back({&kernels.winograd, dtype, needs});
  rows.push_back({&kernels.pool, dtype, needs});
  rows.push_back({&kernels.elementwise, dtype, needs});
  rows.push_back({&kernels.peak, dtype, needs});
}

void AddInt8Rows(std::vector<KernelRow>& rows, const Int8Kernels& kernels, Features needs) {
  rows.push_back({&kernels, DType::kInt8, needs});
  rows.push_back({&kernels.pool, DType::kInt8, needs});
}

std::vector<KernelRow> AllRows() {
  std::vector<KernelRow> rows;
  AddRows(rows, kFloat32Scalar, DType::kFloat32, 0);
  AddInt8Rows(rows, kInt8Scalar, 0);
  AddRows(rows, kBfloat16Scalar, DType::kBfloat16, 0);
#if defined(__aarch64__)
  AddRows(rows, kFloat32Neon, DType::kFloat32, kNeon);
  AddInt8Rows(rows, kInt8Neon, kNeon);
  AddInt8Rows(rows, kInt8NeonDot, kNeon | kNeonDotProduct);
  AddInt8Rows(rows, kInt8NeonI8mm, kNeon | kNeonI8mm);
  AddRows(rows, kBfloat16Neon, DType::kBfloat16, kNeon);
  AddRows(rows, kBfloat16NeonBf16, DType::kBfloat16, kNeon | kNeonBf16);
#elif defined(__x86_64__)
  AddRows(rows, kFloat32Avx2, DType::kFloat32, kAvx2Fma);
  AddRows(rows, kFloat32Avx512, DType::kFloat32, kAvx512);
  AddInt8Rows(rows, kInt8Avx2, kAvx2Fma);
  AddInt8Rows(rows, kInt8AvxVnni, kAvx2Fma | kAvxVnni);
  AddInt8Rows(rows, kInt8Avx512Vnni, kAvx512 | kAvx512Vnni);
  rows.push_back({&kTilesInt8, DType::kInt8, kAvx512 | kAmxInt8});
  AddRows(rows, kBfloat16Avx2, DType::kBfloat16, kAvx2Fma);
  AddRows(rows, kBfloat16Avx512, DType::kBfloat16, kAvx512);
  AddRows(rows, kBfloat16Avx512Bf16, DType::kBfloat16, kAvx512 | kAvx512Bf16);
  rows.push_back({&kTilesBfloat16, DType::kBfloat16, kAvx512 | kAvx512Bf16 | kAmxBf16});
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
                   [&](const GroupedKernels* kernels) { set.grouped = kernels; },
                   [&](const TileConvKernels* kernels) { set.tiles = kernels; },
                   [&](const WinogradKernels* kernels) { set.winograd = kernels; },
                   [&](const PoolKernels* kernels) { set.pool = kernels; },
                   [&](const ElementwiseKernels* kernels) { set.elementwise = kernels; },
                   [&](const PeakKernels* kernels) { set.peak = kernels; },
                   [&](const Int8Kernels* kernels) { set.int8 = kernels; },
               },
               row.kernels);
  }
}

}  // namespace resnet_native::cpu
