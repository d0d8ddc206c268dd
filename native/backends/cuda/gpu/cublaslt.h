#pragma once

#include <cublasLt.h>

namespace resnet_native::cuda {

// The functions of cuBLASLt that are used, from the library opened at run time.
struct CublasLt {
  decltype(cublasLtCreate)* Create;
  decltype(cublasLtDestroy)* Destroy;
  decltype(cublasLtMatmul)* Matmul;
  decltype(cublasLtMatmulDescCreate)* DescCreate;
  decltype(cublasLtMatmulDescDestroy)* DescDestroy;
  decltype(cublasLtMatmulDescSetAttribute)* DescSetAttribute;
  decltype(cublasLtMatrixLayoutCreate)* LayoutCreate;
  decltype(cublasLtMatrixLayoutDestroy)* LayoutDestroy;
  decltype(cublasLtMatmulPreferenceCreate)* PreferenceCreate;
  decltype(cublasLtMatmulPreferenceDestroy)* PreferenceDestroy;
  decltype(cublasLtMatmulPreferenceSetAttribute)* PreferenceSetAttribute;
  decltype(cublasLtMatmulAlgoGetHeuristic)* AlgoGetHeuristic;
};

// Binds the functions, once; later calls return what the first one bound. Thread-safe. Throws
// kDeviceUnavailable.
const CublasLt& BindCublasLt(void* library);

// What was bound: for code that holds a handle, and so knows that something was.
const CublasLt& Lt();

}  // namespace resnet_native::cuda
