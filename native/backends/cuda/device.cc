#include "native/backends/cuda/device.h"

#include <sstream>

#include "native/graph/overloaded.h"

namespace resnet_native::cuda {
namespace {

const char* Name(DType dtype) {
  switch (dtype) {
    case DType::kUint8:
      return "u8";
    case DType::kInt8:
      return "i8";
    case DType::kFloat16:
      return "f16";
    case DType::kBfloat16:
      return "bf16";
    case DType::kTf32:
      return "tf32";
    case DType::kFloat32:
      return "f32";
  }
  return "?";
}

std::string Sizes(int64_t n, int64_t h, int64_t w, int64_t c) {
  std::ostringstream text;
  text << ' ' << n << 'x' << h << 'x' << w << 'x' << c;
  return text.str();
}

std::string ToText(const Window& window) {
  std::ostringstream text;
  text << ' ' << window.kernel_h << 'x' << window.kernel_w << " s" << window.stride_h << 'x'
       << window.stride_w << " p" << window.pad_h << 'x' << window.pad_w << " d" << window.dilation_h << 'x'
       << window.dilation_w;
  return text.str();
}

}  // namespace

std::string ToString(const Operation& operation) {
  std::ostringstream text;
  std::visit(Overloaded{
                 [&](const LoadInput& op) {
                   text << "load " << Name(op.from) << (op.layout == Layout::kNchw ? " nchw" : " nhwc")
                        << " to " << Name(op.to) << Sizes(op.n, op.h, op.w, op.channels) << " pad"
                        << op.padded_channels << (op.normalize ? " normalize" : "");
                 },
                 [&](const Convolution& op) {
                   text << "conv " << Name(op.dtype) << Sizes(op.n, op.h, op.w, op.in_channels) << " k"
                        << op.out_channels << ToText(op.window) << " g" << op.groups
                        << (op.residual ? " residual" : "") << (op.relu ? " relu" : "")
                        << (op.zero_point ? " z128" : "") << (op.to_float ? " to f32" : "");
                 },
                 [&](const Linear& op) {
                   text << "linear " << Name(op.dtype) << " to " << Name(op.to) << ' ' << op.rows << 'x'
                        << op.in_features << " k" << op.out_features;
                 },
                 [&](const MaxPool& op) {
                   text << "maxpool " << Name(op.dtype) << Sizes(op.n, op.h, op.w, op.channels)
                        << ToText(op.window);
                 },
                 [&](const AveragePool& op) {
                   text << "avgpool " << Name(op.dtype) << ' ' << op.n << 'x' << op.pixels << 'x'
                        << op.channels << (op.to_float ? " to f32" : "");
                 },
                 [&](const Elementwise& op) {
                   text << "elementwise " << Name(op.from) << " to " << Name(op.to) << ' ' << op.elements
                        << 'x' << op.channels << (op.affine ? " affine" : "")
                        << (op.residual ? " residual" : "") << (op.relu ? " relu" : "");
                 },
                 [&](const ZeroPadShortcut& op) {
                   text << "zeropad " << Name(op.dtype) << Sizes(op.n, op.h, op.w, op.channels) << " k"
                        << op.out_channels << " s" << op.stride << (op.zero_point ? " z128" : "");
                 },
                 [&](const Resample& op) {
                   text << "resample " << op.outer << 'x' << op.in_axis << 'x' << op.inner << " to "
                        << op.out_axis << " by " << op.weight_stride;
                 },
                 [&](const ToNchw& op) {
                   text << "nchw " << Name(op.from) << " to " << Name(op.to) << ' ' << op.n << 'x'
                        << op.pixels << 'x' << op.channels;
                 },
             },
             operation);
  return text.str();
}

namespace {

// Of the parameters of a convolution or a linear layer with so many filter values.
OperandBytes BytesOfParameters(DType dtype, int64_t filter_values, int out_channels) {
  const bool int8 = dtype == DType::kInt8;
  const size_t floats = out_channels * sizeof(float);
  return {.filters = filter_values * ElementSize(dtype),
          .scale = int8 ? floats : 0,
          .shift = floats,
          .typed_shift = int8 ? floats : out_channels * ElementSize(dtype)};
}

OperandBytes BytesOfConvolution(const Convolution& op) {
  const int64_t taps = int64_t{op.window.kernel_h} * op.window.kernel_w;
  OperandBytes bytes =
      BytesOfParameters(op.dtype, op.out_channels * taps * (op.in_channels / op.groups), op.out_channels);
  const int64_t y = op.OutShape().elements();
  bytes.x = op.n * op.h * op.w * op.in_channels * ElementSize(op.dtype);
  bytes.residual = op.residual ? y * ElementSize(op.dtype) : 0;
  bytes.y = y * ElementSize(op.to());
  return bytes;
}

OperandBytes BytesOfLinear(const Linear& op) {
  OperandBytes bytes =
      BytesOfParameters(op.dtype, int64_t{op.in_features} * op.out_features, op.out_features);
  bytes.x = op.rows * op.in_features * ElementSize(op.dtype);
  bytes.y = op.rows * op.out_features * ElementSize(op.to);
  return bytes;
}

OperandBytes BytesOfLoadInput(const LoadInput& op) {
  const int64_t pixels = op.n * op.h * op.w;
  OperandBytes bytes{.x = pixels * op.channels * ElementSize(op.from),
                     .y = pixels * op.padded_channels * ElementSize(op.to)};
  if (op.to == DType::kInt8 && op.from == DType::kUint8) bytes.table = op.channels * 256;
  if (op.to == DType::kInt8 && op.from == DType::kFloat32) bytes.scale = bytes.shift = sizeof(float);
  if (op.normalize) bytes.scale = bytes.shift = op.channels * sizeof(float);
  return bytes;
}

}  // namespace

OperandBytes BytesOf(const Operation& operation) {
  using Bytes = OperandBytes;
  return std::visit(Overloaded{
                        [](const LoadInput& op) { return BytesOfLoadInput(op); },
                        [](const Convolution& op) { return BytesOfConvolution(op); },
                        [](const Linear& op) { return BytesOfLinear(op); },
                        [](const MaxPool& op) {
                          const size_t element = ElementSize(op.dtype);
                          return Bytes{.x = op.n * op.h * op.w * op.channels * element,
                                       .y = op.OutShape().elements() * element};
                        },
                        [](const AveragePool& op) {
                          const int64_t row = op.n * op.channels;
                          return Bytes{.x = row * op.pixels * ElementSize(op.dtype),
                                       .y = row * ElementSize(op.to()),
                                       .shift = op.dtype == DType::kInt8 ? sizeof(float) : 0};
                        },
                        [](const Elementwise& op) {
                          const size_t x = op.elements * ElementSize(op.from);
                          const size_t affine = op.affine ? op.channels * sizeof(float) : 0;
                          return Bytes{.x = x,
                                       .residual = op.residual ? x : 0,
                                       .y = op.elements * ElementSize(op.to),
                                       .scale = affine,
                                       .shift = affine};
                        },
                        [](const ZeroPadShortcut& op) {
                          const size_t element = ElementSize(op.dtype);
                          const int64_t pixels = ((op.h - 1) / op.stride + 1) * ((op.w - 1) / op.stride + 1);
                          return Bytes{.x = op.n * op.h * op.w * op.channels * element,
                                       .y = op.n * pixels * op.out_channels * element};
                        },
                        [](const Resample& op) {
                          const size_t row = op.outer * op.inner;
                          return Bytes{.x = row * op.in_axis,
                                       .y = row * op.out_axis,
                                       .filters = op.out_axis * (2 + op.weight_stride) * sizeof(int32_t)};
                        },
                        [](const ToNchw& op) {
                          const size_t elements = op.n * op.pixels * op.channels;
                          const bool dequantizes = op.from == DType::kInt8 && op.to != DType::kInt8;
                          const size_t affine = dequantizes ? sizeof(float) : 0;
                          return Bytes{.x = elements * ElementSize(op.from),
                                       .y = elements * ElementSize(op.to),
                                       .scale = affine,
                                       .shift = affine};
                        },
                    },
                    operation);
}

}  // namespace resnet_native::cuda
