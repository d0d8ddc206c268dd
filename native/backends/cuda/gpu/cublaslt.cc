#include "native/backends/cuda/gpu/cublaslt.h"

#include "native/backends/cuda/gpu/symbols.h"

namespace resnet_native::cuda {
namespace {

CublasLt Bind(void* library) {
  CublasLt lt{};
  FindSymbol(library, "cublasLtCreate", lt.Create);
  FindSymbol(library, "cublasLtDestroy", lt.Destroy);
  FindSymbol(library, "cublasLtMatmul", lt.Matmul);
  FindSymbol(library, "cublasLtMatmulDescCreate", lt.DescCreate);
  FindSymbol(library, "cublasLtMatmulDescDestroy", lt.DescDestroy);
  FindSymbol(library, "cublasLtMatmulDescSetAttribute", lt.DescSetAttribute);
  FindSymbol(library, "cublasLtMatrixLayoutCreate", lt.LayoutCreate);
  FindSymbol(library, "cublasLtMatrixLayoutDestroy", lt.LayoutDestroy);
  FindSymbol(library, "cublasLtMatmulPreferenceCreate", lt.PreferenceCreate);
  FindSymbol(library, "cublasLtMatmulPreferenceDestroy", lt.PreferenceDestroy);
  FindSymbol(library, "cublasLtMatmulPreferenceSetAttribute", lt.PreferenceSetAttribute);
  FindSymbol(library, "cublasLtMatmulAlgoGetHeuristic", lt.AlgoGetHeuristic);
  return lt;
}

const CublasLt* bound = nullptr;

}  // namespace

const CublasLt& BindCublasLt(void* library) {
  static const CublasLt lt = Bind(library);
  bound = &lt;
  return lt;
}

const CublasLt& Lt() { return *bound; }

}  // namespace resnet_native::cuda
