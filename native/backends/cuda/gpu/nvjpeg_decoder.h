#pragma once

#include <memory>

#include "native/backends/cuda/device.h"
#include "native/backends/cuda/gpu/gpu_state.h"

namespace resnet_native::cuda {

// nvJPEG, opened at run time, as the decoder of a GPU. Throws kDeviceUnavailable where it is missing or does
// not work here.
std::unique_ptr<ImageDecoder> NewNvjpegDecoder(std::shared_ptr<GpuState> state);

}  // namespace resnet_native::cuda
