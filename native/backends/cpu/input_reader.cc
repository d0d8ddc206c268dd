#include "native/backends/cpu/input_reader.h"

#include <algorithm>

#include "native/backends/cpu/arithmetic.h"

namespace resnet_native::cpu {

InputReader::InputReader(int channels, const std::optional<ChannelAffine>& normalize, DType dtype,
                         const ElementwiseKernels& kernels)
    : channels_(channels), dtype_(dtype), kernels_(kernels) {
  for (int lane = 0; lane < kernels_.lanes; ++lane) {
    for (int c = 0; c < channels; ++c) {
      scale_.push_back(normalize ? normalize->scale[c] : 1.0f);
      shift_.push_back(normalize ? normalize->shift[c] : 0.0f);
    }
  }
}

size_t InputReader::ScratchBytes(int64_t w) const {
  if (dtype_ == DType::kFloat32) return 0;
  return static_cast<size_t>(RoundUp(w * channels_ * static_cast<int64_t>(sizeof(float)), kCacheLine));
}

void InputReader::ReadRow(const InputBatch& input, int64_t n, int64_t h, float* scratch, void* y) const {
  if (dtype_ == DType::kFloat32) {
    ReadFloats(input, n, h, static_cast<float*>(y));
  } else {
    ReadFloats(input, n, h, scratch);
    kernels_.narrow(scratch, input.w * channels_, y);
  }
}

void InputReader::ReadFloats(const InputBatch& input, int64_t n, int64_t h, float* y) const {
  const int64_t row = h * input.w * channels_;
  const auto* floats = static_cast<const float*>(input.images[n]);
  if (input.dtype == DType::kUint8) {
    NormalizeBytes(static_cast<const uint8_t*>(input.images[n]) + row, input.w, y);
  } else if (input.layout == Layout::kNhwc) {
    std::copy_n(floats + row, input.w * channels_, y);
  } else {
    kernels_.transpose(floats + h * input.w, channels_, input.w, input.h * input.w, channels_, y);
  }
}

void InputReader::NormalizeBytes(const uint8_t* x, int64_t pixels, float* y) const {
  const auto width = static_cast<int64_t>(scale_.size());
  const int64_t count = pixels * channels_, whole = count / width * width;
  kernels_.affine_bytes(x, whole / width, width, scale_.data(), shift_.data(), y);
  kernels_.affine_bytes(x + whole, 1, count - whole, scale_.data(), shift_.data(), y + whole);
}

}  // namespace resnet_native::cpu
