#pragma once

#include <optional>
#include <vector>

#include "native/backend.h"
#include "native/backends/cpu/dispatch.h"

namespace resnet_native::cpu {

// Reads rows of the run's input, uint8 or float32, NHWC or NCHW, as float32 NHWC. uint8 is normalised on the
// way if there is a normalisation, and converted as it is otherwise; float32 stays what it is.
class InputReader {
 public:
  InputReader(int channels, const std::optional<ChannelAffine>& normalize, const ElementwiseKernels& kernels);

  // Row h of image n: w × channels floats.
  void ReadRow(const InputBatch& input, int64_t n, int64_t h, float* y) const;

 private:
  void NormalizeBytes(const uint8_t* x, int64_t pixels, float* y) const;

  const int64_t channels_;
  const ElementwiseKernels& kernels_;
  std::vector<float> scale_, shift_;  // repeated for as many pixels as fill whole vectors
};

}  // namespace resnet_native::cpu
