#include "native/backends/cuda/gpu/kernels/epilogue.h"
#include "native/backends/cuda/gpu/kernels/launch.cuh"
#include "native/backends/cuda/gpu/kernels/load_input.h"
#include "native/backends/cuda/gpu/kernels/probe.h"

namespace resnet_native::cuda {

#define INSTANTIATE(...) template cudaError_t LaunchBody(const __VA_ARGS__&, cudaStream_t)

#define LOAD_INPUT(To)                  \
  INSTANTIATE(LoadRgb<To, 4>);          \
  INSTANTIATE(LoadRgb<To, 8>);          \
  INSTANTIATE(LoadPixels<uint8_t, To>); \
  INSTANTIATE(LoadPixels<float, To>)
LOAD_INPUT(float);
LOAD_INPUT(Half);
LOAD_INPUT(BFloat16);
LOAD_INPUT(Byte);

INSTANTIATE(Epilogue<float, float, float>);
INSTANTIATE(Epilogue<Half, Half, Half>);
INSTANTIATE(Epilogue<BFloat16, BFloat16, BFloat16>);
INSTANTIATE(Epilogue<Byte, Byte, Byte>);
INSTANTIATE(Epilogue<Half, Half, float>);
INSTANTIATE(Epilogue<BFloat16, BFloat16, float>);
INSTANTIATE(Epilogue<Byte, Byte, float>);
INSTANTIATE(Epilogue<float, float, Byte>);
// Behind the int8 sums of a library: of cuBLASLt, and of cuDNN.
INSTANTIATE(Epilogue<int32_t, int8_t, int8_t>);
INSTANTIATE(Epilogue<int32_t, int8_t, float>);
INSTANTIATE(Epilogue<float, int8_t, int8_t>);
INSTANTIATE(Epilogue<float, int8_t, float>);

cudaError_t ProbeKernels() {
  cudaFuncAttributes attributes;
  return cudaFuncGetAttributes(&attributes, RunThreads<Epilogue<float, float, float>>);
}

}  // namespace resnet_native::cuda
