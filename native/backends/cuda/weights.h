#pragma once

#include <cstdint>
#include <vector>

#include "native/backends/cuda/device.h"
#include "native/graph/graph.h"

namespace resnet_native::cuda {

// All parameters of a network in one piece of host memory, laid out and rounded as the device reads them.
class WeightImage {
 public:
  // Of one node: places in the image, -1 where it has none; and what is no place but a number.
  struct Places {
    int64_t filters = -1, scale = -1, shift = -1, typed_shift = -1, table = -1;
    float residual_scale = 1;
    double pixel_scale = 1;
  };

  // `padding`: channels of zeros behind those of the input. Filters become [out][kernel_h][kernel_w][in].
  Places AddConvolution(const Conv2dOp& op, DType dtype, int padding);
  Places AddLinear(const LinearOp& op, DType dtype);
  Places AddBatchNorm(const BatchNormOp& op);
  Places AddAffine(const ChannelAffine& affine);

  // Their place. What is reserved may move when more is added.
  int64_t Reserve(size_t bytes);
  int64_t AddFloats(const std::vector<float>& values);
  void* At(int64_t place) { return bytes_.data() + place; }

  const std::vector<unsigned char>& bytes() const { return bytes_; }

 private:
  void AddBias(const Weight& bias, int channels, DType dtype, Places* places);

  std::vector<unsigned char> bytes_;
};

// The operands of those places in an image that lies at `base`.
Operands OperandsAt(const WeightImage::Places& places, const void* base);

}  // namespace resnet_native::cuda
