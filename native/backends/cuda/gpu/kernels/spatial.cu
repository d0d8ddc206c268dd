#include "native/backends/cuda/gpu/kernels/convolution.h"
#include "native/backends/cuda/gpu/kernels/launch.cuh"
#include "native/backends/cuda/gpu/kernels/layout.h"
#include "native/backends/cuda/gpu/kernels/pool.h"

namespace resnet_native::cuda {

#define INSTANTIATE(...) template cudaError_t LaunchBody(const __VA_ARGS__&, cudaStream_t)

// A type with the pack that fills an instruction, and with single elements for channels that are no multiple
// of it.
#define SPATIAL(T, kWidth)               \
  INSTANTIATE(MaxPoolPixels<T, kWidth>); \
  INSTANTIATE(AveragePixels<T, kWidth>); \
  INSTANTIATE(ZeroPadPixels<T, kWidth>)
SPATIAL(float, 4);
SPATIAL(float, 1);
SPATIAL(Half, 8);
SPATIAL(Half, 1);
SPATIAL(BFloat16, 8);
SPATIAL(BFloat16, 1);
SPATIAL(int8_t, 16);
SPATIAL(int8_t, 1);

INSTANTIATE(Transpose<float, float>);
INSTANTIATE(Transpose<Half, Half>);
INSTANTIATE(Transpose<Half, float>);
INSTANTIATE(Transpose<BFloat16, BFloat16>);
INSTANTIATE(Transpose<BFloat16, float>);
INSTANTIATE(Transpose<int8_t, int8_t>);
INSTANTIATE(Transpose<int8_t, float>);

#define CONVOLUTION(From, To, Sum, kWidth)               \
  INSTANTIATE(DirectConvolution<From, To, Sum, kWidth>); \
  INSTANTIATE(DirectConvolution<From, To, Sum, 1>)
CONVOLUTION(float, float, float, 4);
CONVOLUTION(Half, Half, float, 8);
CONVOLUTION(Half, float, float, 8);
CONVOLUTION(BFloat16, BFloat16, float, 8);
CONVOLUTION(BFloat16, float, float, 8);
CONVOLUTION(int8_t, int8_t, int32_t, 16);

}  // namespace resnet_native::cuda
