#pragma once

#include <optional>
#include <vector>

#include "native/backend.h"
#include "native/backends/cpu/dispatch.h"

namespace resnet_native::cpu {

// Reads rows of the run's input, uint8 or float32, NHWC or NCHW, as NHWC elements of the data type that the
// kernels work on. uint8 is normalised in float32 on the way if there is a normalisation, and converted as it
// is otherwise; float32 is not normalised.
class InputReader {
 public:
  InputReader(int channels, const std::optional<ChannelAffine>& normalize, DType dtype,
              const ElementwiseKernels& kernels);

  // What ReadRow needs for rows of w pixels: a multiple of a cache line.
  size_t ScratchBytes(int64_t w) const;
  // Row h of image n: w × channels elements.
  void ReadRow(const InputBatch& input, int64_t n, int64_t h, float* scratch, void* y) const;

 private:
  void ReadFloats(const InputBatch& input, int64_t n, int64_t h, float* y) const;
  void NormalizeBytes(const uint8_t* x, int64_t pixels, float* y) const;

  const int64_t channels_;
  const DType dtype_;
  const ElementwiseKernels& kernels_;
  std::vector<float> scale_, shift_;  // repeated for as many pixels as fill whole vectors
};

}  // namespace resnet_native::cpu
