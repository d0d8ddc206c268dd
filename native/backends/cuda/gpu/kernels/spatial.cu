#include "native/backends/cuda/gpu/kernels/convolution.h"
#include "native/backends/cuda/gpu/kernels/launch.cuh"
#include "native/backends/cuda/gpu/kernels/layout.h"
#include "native/backends/cuda/gpu/kernels/pool.h"

namespace resnet_native::cuda {

#define INSTANTIATE(...) template cudaError_t LaunchBody(const __VA_ARGS__&, cudaStream_t)

// A type with the pack that fills an instruction, and with single elements for channels that are no multiple
// of it.
#define SPATIAL(T, kWidth)                  \
  INSTANTIATE(MaxPoolPixels<T, kWidth>);    \
  INSTANTIATE(AveragePixels<T, T, kWidth>); \
  INSTANTIATE(ZeroPadPixels<T, kWidth>)
SPATIAL(float, 4);
SPATIAL(float, 1);
SPATIAL(Half, 8);
SPATIAL(Half, 1);
SPATIAL(BFloat16, 8);
SPATIAL(BFloat16, 1);
SPATIAL(Byte, 16);
SPATIAL(Byte, 1);
INSTANTIATE(AveragePixels<Byte, float, 16>);
INSTANTIATE(AveragePixels<Byte, float, 1>);
INSTANTIATE(AddBorder<Byte, 16>);
INSTANTIATE(AddBorder<Byte, 1>);

INSTANTIATE(Transpose<float, float>);
INSTANTIATE(Transpose<Half, Half>);
INSTANTIATE(Transpose<Half, float>);
INSTANTIATE(Transpose<BFloat16, BFloat16>);
INSTANTIATE(Transpose<BFloat16, float>);
INSTANTIATE(Transpose<Byte, Byte>);
INSTANTIATE(Transpose<Byte, float>);

#define CONVOLUTION(From, To, kWidth)               \
  INSTANTIATE(DirectConvolution<From, To, kWidth>); \
  INSTANTIATE(DirectConvolution<From, To, 1>)
CONVOLUTION(float, float, 4);
CONVOLUTION(Half, Half, 8);
CONVOLUTION(Half, float, 8);
CONVOLUTION(BFloat16, BFloat16, 8);
CONVOLUTION(BFloat16, float, 8);
CONVOLUTION(Byte, Byte, 16);
CONVOLUTION(Byte, float, 16);
INSTANTIATE(DirectConvolution<Byte, Byte, 4>);
INSTANTIATE(DirectConvolution<Byte, float, 4>);

}  // namespace resnet_native::cuda
