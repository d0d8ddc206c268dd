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
  std::visit(
      Overloaded{
          [&](const LoadInput& op) {
            text << "load " << Name(op.from) << (op.layout == Layout::kNchw ? " nchw" : " nhwc") << " to "
                 << Name(op.to) << Sizes(op.n, op.h, op.w, op.channels) << " pad" << op.padded_channels
                 << (op.normalize ? " normalize" : "");
          },
          [&](const Convolution& op) {
            text << "conv " << Name(op.dtype) << Sizes(op.n, op.h, op.w, op.in_channels) << " k"
                 << op.out_channels << ToText(op.window) << " g" << op.groups
                 << (op.residual ? " residual" : "") << (op.relu ? " relu" : "");
          },
          [&](const Linear& op) {
            text << "linear " << Name(op.dtype) << " to " << Name(op.to) << ' ' << op.rows << 'x'
                 << op.in_features << " k" << op.out_features;
          },
          [&](const MaxPool& op) {
            text << "maxpool " << Name(op.dtype) << Sizes(op.n, op.h, op.w, op.channels) << ToText(op.window);
          },
          [&](const AveragePool& op) {
            text << "avgpool " << Name(op.dtype) << ' ' << op.n << 'x' << op.pixels << 'x' << op.channels;
          },
          [&](const AddTensors& op) {
            text << "add " << Name(op.dtype) << ' ' << op.elements << (op.relu ? " relu" : "");
          },
          [&](const ScaleShift& op) {
            text << "scale " << Name(op.dtype) << ' ' << op.pixels << 'x' << op.channels
                 << (op.affine ? " affine" : "") << (op.relu ? " relu" : "");
          },
          [&](const ZeroPadShortcut& op) {
            text << "zeropad " << Name(op.dtype) << Sizes(op.n, op.h, op.w, op.channels) << " k"
                 << op.out_channels << " s" << op.stride;
          },
          [&](const ToNchw& op) {
            text << "nchw " << Name(op.from) << " to " << Name(op.to) << ' ' << op.n << 'x' << op.pixels
                 << 'x' << op.channels;
          },
          [&](const Quantize& op) { text << "quantize " << Name(op.from) << ' ' << op.elements; },
      },
      operation);
  return text.str();
}

namespace {

OperandBytes BytesOfConvolution(const Convolution& op) {
  const size_t element = ElementSize(op.dtype);
  const int64_t taps = int64_t{op.window.kernel_h} * op.window.kernel_w;
  const size_t y = op.OutShape().elements() * element;
  const bool quantized = op.dtype == DType::kInt8;
  return {.x = op.n * op.h * op.w * op.in_channels * element,
          .residual = op.residual ? y : 0,
          .y = y,
          .filters = op.out_channels * taps * (op.in_channels / op.groups) * element,
          .scale = quantized ? op.out_channels * sizeof(float) : 0,
          .shift = op.out_channels * sizeof(float),
          .typed_shift = quantized ? 0 : op.out_channels * element};
}

}  // namespace

OperandBytes BytesOf(const Operation& operation) {
  using Bytes = OperandBytes;
  return std::visit(Overloaded{
                        [](const LoadInput& op) {
                          const size_t affine = op.normalize ? op.channels * sizeof(float) : 0;
                          const size_t pixels = op.n * op.h * op.w;
                          return Bytes{.x = pixels * op.channels * ElementSize(op.from),
                                       .y = pixels * op.padded_channels * ElementSize(op.to),
                                       .scale = affine,
                                       .shift = affine};
                        },
                        [](const Convolution& op) { return BytesOfConvolution(op); },
                        [](const Linear& op) {
                          const size_t element = ElementSize(op.dtype);
                          return Bytes{.x = op.rows * op.in_features * element,
                                       .y = op.rows * op.out_features * ElementSize(op.to),
                                       .filters = size_t{1} * op.in_features * op.out_features * element,
                                       .shift = op.out_features * sizeof(float),
                                       .typed_shift = op.out_features * element};
                        },
                        [](const MaxPool& op) {
                          const size_t element = ElementSize(op.dtype);
                          return Bytes{.x = op.n * op.h * op.w * op.channels * element,
                                       .y = op.OutShape().elements() * element};
                        },
                        [](const AveragePool& op) {
                          const size_t row = op.n * op.channels * ElementSize(op.dtype);
                          return Bytes{.x = row * op.pixels, .y = row};
                        },
                        [](const AddTensors& op) {
                          const size_t bytes = op.elements * ElementSize(op.dtype);
                          return Bytes{.x = bytes, .residual = bytes, .y = bytes};
                        },
                        [](const ScaleShift& op) {
                          const size_t bytes = op.pixels * op.channels * ElementSize(op.dtype);
                          const size_t affine = op.affine ? op.channels * sizeof(float) : 0;
                          return Bytes{.x = bytes, .y = bytes, .scale = affine, .shift = affine};
                        },
                        [](const ZeroPadShortcut& op) {
                          const size_t element = ElementSize(op.dtype);
                          const int64_t pixels = ((op.h - 1) / op.stride + 1) * ((op.w - 1) / op.stride + 1);
                          return Bytes{.x = op.n * op.h * op.w * op.channels * element,
                                       .y = op.n * pixels * op.out_channels * element};
                        },
                        [](const ToNchw& op) {
                          const size_t elements = op.n * op.pixels * op.channels;
                          return Bytes{.x = elements * ElementSize(op.from),
                                       .y = elements * ElementSize(op.to),
                                       .scale = op.from == DType::kInt8 ? sizeof(float) : 0};
                        },
                        [](const Quantize& op) {
                          return Bytes{.x = op.elements * ElementSize(op.from),
                                       .y = static_cast<size_t>(op.elements),
                                       .scale = sizeof(float)};
                        },
                    },
                    operation);
}

}  // namespace resnet_native::cuda
