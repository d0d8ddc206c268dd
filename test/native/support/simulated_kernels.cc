#include "test/native/support/simulated_kernels.h"

#include <algorithm>
#include <cmath>
#include <thread>
#include <vector>

#include "native/backends/reference/kernels.h"
#include "native/graph/overloaded.h"
#include "native/graph/quantization.h"
#include "native/half.h"
#include "native/image/filter.h"

namespace resnet_native::testing {
namespace {

using cuda::Operands;
using Floats = std::vector<float>;

// Bytes as the numbers that they stand for, 0 to 255.
uint8_t ByteOf(int8_t stored) { return static_cast<uint8_t>(stored + cuda::kStoredZero); }

template <class T>
std::vector<T> LoadAs(DType dtype, const void* data, int64_t count) {
  std::vector<T> values(count);
  for (int64_t i = 0; i < count; ++i) {
    values[i] = dtype == DType::kInt8 ? static_cast<T>(ByteOf(static_cast<const int8_t*>(data)[i]))
                                      : static_cast<T>(LoadAs(dtype, data, i));
  }
  return values;
}
Floats Load(DType dtype, const void* data, int64_t count) { return LoadAs<float>(dtype, data, count); }

void Store(DType dtype, const Floats& values, void* data) {
  auto* bytes = static_cast<int8_t*>(data);
  for (size_t i = 0; i < values.size(); ++i) {
    if (dtype == DType::kInt8) {
      bytes[i] = static_cast<int8_t>(QuantizeValue(values[i], Quantization()) - cuda::kStoredZero);
    } else {
      StoreAs(dtype, data, static_cast<int64_t>(i), values[i]);
    }
  }
}

// NaN stays NaN.
float Relu(float x) { return x < 0 ? 0 : x; }

// In 16 sums, which a compiler makes vectors of.
float Dot(const float* a, const float* b, int64_t size) {
  constexpr int kLanes = 16;
  float sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  double sum = 0;
  for (; i < size; ++i) sum += static_cast<double>(a[i]) * b[i];
  for (const float lane : sums) sum += lane;
  return static_cast<float>(sum);
}

// Of bytes with int8 filters, exactly.
int32_t Dot(const int16_t* a, const int16_t* b, int64_t size) {
  int32_t sum = 0;
  for (int64_t i = 0; i < size; ++i) sum += int32_t{a[i]} * b[i];
  return sum;
}

// Calls body(first, last) for parts of [0, count), on two threads if there is much to do.
template <class Body>
void InParallel(int64_t count, int64_t work, Body body) {
  if (work < 10'000'000) return body(0, count);
  std::thread other([&] { body(0, count / 2); });
  body(count / 2, count);
  other.join();
}

std::vector<int16_t> LoadFilters(const int8_t* filters, int64_t count) { return {filters, filters + count}; }

// T: float, or int16_t for bytes and int8 filters.
template <class T>
class ConvolutionOnHost {
 public:
  ConvolutionOnHost(const cuda::Convolution& op, const Operands& operands, Int8Way way = Int8Way::kExact)
      : op_(op),
        // What a byte is less in the sums.
        stored_(way == Int8Way::kLibrary ? cuda::kStoredZero : 0),
        y_shape_(op.OutShape()),
        taps_(int64_t{op.window.kernel_h} * op.window.kernel_w),
        channels_(op.in_channels / op.groups),
        x_(LoadAs<T>(op.dtype, operands.x, op.n * op.h * op.w * op.in_channels)),
        operands_(operands),
        y_(y_shape_.elements()) {
    const int64_t filters = op.out_channels * taps_ * channels_;
    if constexpr (kBytes) {
      filters_ = LoadFilters(static_cast<const int8_t*>(operands.filters), filters);
    } else {
      filters_ = Load(op.dtype, operands.filters, filters);
    }
    if (op.residual) residual_ = Load(op.dtype, operands.residual, y_shape_.elements());
    for (T& value : x_) value -= static_cast<T>(stored_);
    for (float& value : residual_) value -= static_cast<float>(stored_);
  }

  void Run() {
    const int64_t pixels = y_shape_.n * y_shape_.h * y_shape_.w;
    InParallel(pixels, y_shape_.elements() * taps_ * channels_, [this](int64_t first, int64_t last) {
      std::vector<T> patch(taps_ * channels_);
      for (int64_t pixel = first; pixel < last; ++pixel) {
        for (int group = 0; group < op_.groups; ++group) {
          Gather(pixel, group, patch.data());
          Multiply(pixel, group, patch.data());
        }
      }
    });
    Store(op_.to(), y_, operands_.y);
  }

 private:
  static constexpr bool kBytes = !std::is_same_v<T, float>;

  void Gather(int64_t pixel, int group, T* patch) const {
    const int64_t ow = pixel % y_shape_.w, oh = pixel / y_shape_.w % y_shape_.h,
                  n = pixel / y_shape_.w / y_shape_.h;
    const Window& window = op_.window;
    for (int kh = 0; kh < window.kernel_h; ++kh) {
      const int64_t h = oh * window.stride_h - window.pad_h + int64_t{kh} * window.dilation_h;
      for (int kw = 0; kw < window.kernel_w; ++kw, patch += channels_) {
        const int64_t w = ow * window.stride_w - window.pad_w + int64_t{kw} * window.dilation_w;
        if (h < 0 || h >= op_.h || w < 0 || w >= op_.w) {
          std::fill_n(patch, channels_, static_cast<T>(op_.zero_point - stored_));
        } else {
          std::copy_n(&x_[((n * op_.h + h) * op_.w + w) * op_.in_channels + group * channels_], channels_,
                      patch);
        }
      }
    }
  }

  void Multiply(int64_t pixel, int group, const T* patch) {
    const int64_t outputs = op_.out_channels / op_.groups;
    for (int64_t o = group * outputs; o < (group + 1) * outputs; ++o) {
      const int64_t at = pixel * op_.out_channels + o;
      const auto sum = static_cast<float>(Dot(patch, &filters_[o * taps_ * channels_], taps_ * channels_));
      const float y = kBytes ? FinishBytes(sum, o, at) : FinishFloats(sum, o, at);
      y_[at] = op_.relu ? Relu(y) : y;
    }
  }

  float FinishFloats(float sum, int64_t o, int64_t at) const {
    if (op_.residual) sum += residual_[at];
    return sum + operands_.shift[o];
  }
  float FinishBytes(float sum, int64_t o, int64_t at) const {
    const auto* typed_shift = static_cast<const float*>(operands_.typed_shift);
    float y = std::fma(sum, operands_.scale[o], stored_ ? typed_shift[o] : operands_.shift[o]);
    if (op_.residual) y = std::fma(residual_[at], operands_.residual_scale, y);
    return op_.to_float ? y : y + static_cast<float>(stored_);
  }

  const cuda::Convolution& op_;
  const int stored_;
  const TensorShape y_shape_;
  const int64_t taps_, channels_;
  std::vector<T> x_, filters_;
  Floats residual_;
  const Operands& operands_;
  Floats y_;
};

void RunConvolution(const cuda::Convolution& op, const Operands& operands, Int8Way way) {
  if (op.dtype == DType::kInt8) return ConvolutionOnHost<int16_t>(op, operands, way).Run();
  ConvolutionOnHost<float>(op, operands).Run();
}

// The batch that such a kernel reads.
struct HostInput {
  HostInput(const cuda::LoadInput& op, const Operands& operands)
      : batch{nullptr, op.from, op.layout, op.n, op.h, op.w, op.channels},
        images(ImagesIn(operands.x, op.n, batch.image_bytes())) {
    batch.images = images.data();
  }

  InputBatch batch;
  const std::vector<const void*> images;
};

void LoadBytesOnHost(const cuda::LoadInput& op, const Operands& operands) {
  const HostInput input(op, operands);
  const int64_t pixels = op.n * op.h * op.w;
  Floats values(pixels * op.channels);
  reference::LoadInput(input.batch, nullptr, values.data());
  auto* y = static_cast<int8_t*>(operands.y);
  for (int64_t i = 0; i < pixels * op.padded_channels; ++i) {
    const int64_t c = i % op.padded_channels, pixel = i / op.padded_channels;
    int byte = 0;
    if (c < op.channels) {
      const float x = values[pixel * op.channels + c];
      byte = op.from == DType::kUint8
                 ? ByteOf(operands.table[c * 256 + static_cast<int>(x)])
                 : QuantizeValue(std::fma(x, operands.scale[0], operands.shift[0]), Quantization());
    }
    y[i] = static_cast<int8_t>(byte - cuda::kStoredZero);
  }
}

void LoadInputOnHost(const cuda::LoadInput& op, const Operands& operands) {
  if (op.to == DType::kInt8) return LoadBytesOnHost(op, operands);
  const HostInput input(op, operands);
  ChannelAffine affine;
  if (op.normalize) {
    affine.scale.assign(operands.scale, operands.scale + op.channels);
    affine.shift.assign(operands.shift, operands.shift + op.channels);
  }
  const int64_t pixels = op.n * op.h * op.w;
  Floats loaded(pixels * op.channels), padded(pixels * op.padded_channels, 0.0f);
  reference::LoadInput(input.batch, op.normalize ? &affine : nullptr, loaded.data());
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    std::copy_n(&loaded[pixel * op.channels], op.channels, &padded[pixel * op.padded_channels]);
  }
  Store(op.to, padded, operands.y);
}

void LinearOnHost(const cuda::Linear& op, const Operands& operands, Int8Way way) {
  const cuda::Convolution pointwise{.dtype = op.dtype,
                                    .n = op.rows,
                                    .h = 1,
                                    .w = 1,
                                    .in_channels = op.in_features,
                                    .out_channels = op.out_features,
                                    .to_float = op.to == DType::kFloat32};
  RunConvolution(pointwise, operands, way);
}

// Operations for which the reference backend has a kernel: from one activation to another.
template <class Kernel>
void OnFloats(DType dtype, const TensorShape& x_shape, int64_t y_elements, DType y_dtype,
              const Operands& operands, Kernel kernel) {
  const Floats x = Load(dtype, operands.x, x_shape.elements());
  Floats y(y_elements);
  kernel(reference::View{x.data(), x_shape}, y.data());
  Store(y_dtype, y, operands.y);
}

void ElementwiseOnHost(const cuda::Elementwise& op, const Operands& operands) {
  const Floats residual = op.residual ? Load(op.from, operands.residual, op.elements) : Floats{};
  OnFloats(
      op.from, {1, 1, 1, op.elements}, op.elements, op.to, operands, [&](const reference::View& x, float* y) {
        for (int64_t i = 0; i < op.elements; ++i) {
          const int64_t c = i % op.channels;
          float value = op.affine ? std::fma(x.data[i], operands.scale[c], operands.shift[c]) : x.data[i];
          if (op.residual) value = std::fma(residual[i], operands.residual_scale, value);
          y[i] = op.relu ? Relu(value) : value;
        }
      });
}

void AveragePoolOnHost(const cuda::AveragePool& op, const Operands& operands) {
  OnFloats(op.dtype, {op.n, 1, op.pixels, op.channels}, op.n * op.channels, op.to(), operands,
           [&](const reference::View& x, float* y) {
             if (op.dtype != DType::kInt8) return reference::GlobalAvgPool(x, y);
             const auto scale = static_cast<float>(operands.pixel_scale / static_cast<double>(op.pixels));
             for (int64_t i = 0; i < op.n * op.channels; ++i) {
               double sum = 0;
               const float* first = x.data + i / op.channels * op.pixels * op.channels + i % op.channels;
               for (int64_t pixel = 0; pixel < op.pixels; ++pixel) sum += first[pixel * op.channels];
               y[i] = std::fma(static_cast<float>(sum), scale, operands.shift[0]);
             }
           });
}

// Of values less their zero.
void ZeroPadOnHost(const cuda::ZeroPadShortcut& op, const Operands& operands) {
  const TensorShape x_shape{op.n, op.h, op.w, op.channels};
  const TensorShape y_shape{op.n, (op.h - 1) / op.stride + 1, (op.w - 1) / op.stride + 1, op.out_channels};
  OnFloats(op.dtype, x_shape, y_shape.elements(), op.dtype, operands,
           [&](const reference::View& x, float* y) {
             Floats values(x.data, x.data + x_shape.elements());
             for (float& value : values) value -= static_cast<float>(op.zero_point);
             reference::ZeroPadShortcut(ZeroPadShortcutOp{op.stride, op.out_channels},
                                        {values.data(), x_shape}, y_shape, y);
             for (int64_t i = 0; i < y_shape.elements(); ++i) y[i] += static_cast<float>(op.zero_point);
           });
}

void ResampleOnHost(const cuda::Resample& op, const Operands& operands) {
  const auto* x = static_cast<const uint8_t*>(operands.x);
  auto* y = static_cast<uint8_t*>(operands.y);
  const auto* first = static_cast<const int32_t*>(operands.filters);
  const int32_t *count = first + op.out_axis, *weights = count + op.out_axis;
  for (int64_t i = 0; i < op.outer * op.out_axis * op.inner; ++i) {
    const int64_t place = i % op.inner, output = i / op.inner % op.out_axis,
                  outer = i / op.inner / op.out_axis;
    int64_t sum = int64_t{1} << (kWeightBits - 1);
    for (int k = 0; k < count[output]; ++k) {
      sum += int64_t{weights[output * op.weight_stride + k]} *
             x[(outer * op.in_axis + first[output] + k) * op.inner + place];
    }
    y[i] = static_cast<uint8_t>(std::clamp<int64_t>(sum >> kWeightBits, 0, 255));
  }
}

void ToNchwOnHost(const cuda::ToNchw& op, const Operands& operands) {
  const int64_t elements = op.n * op.pixels * op.channels;
  OnFloats(op.from, {op.n, 1, op.pixels, op.channels}, elements, op.to, operands,
           [&](const reference::View& x, float* y) {
             reference::StoreOutput(x, y);
             if (op.from != DType::kInt8 || op.to == DType::kInt8) return;
             for (int64_t i = 0; i < elements; ++i)
               y[i] = std::fma(y[i], operands.scale[0], operands.shift[0]);
           });
}

}  // namespace

void ComputeOnHost(const cuda::Operation& operation, const Operands& operands, Int8Way way) {
  using reference::View;
  std::visit(Overloaded{
                 [&](const cuda::LoadInput& op) { LoadInputOnHost(op, operands); },
                 [&](const cuda::Convolution& op) { RunConvolution(op, operands, way); },
                 [&](const cuda::Linear& op) { LinearOnHost(op, operands, way); },
                 [&](const cuda::MaxPool& op) {
                   OnFloats(op.dtype, {op.n, op.h, op.w, op.channels}, op.OutShape().elements(), op.dtype,
                            operands, [&](const View& x, float* y) {
                              reference::MaxPool2d(MaxPool2dOp{op.window}, x, op.OutShape(), y);
                            });
                 },
                 [&](const cuda::AveragePool& op) { AveragePoolOnHost(op, operands); },
                 [&](const cuda::Elementwise& op) { ElementwiseOnHost(op, operands); },
                 [&](const cuda::ZeroPadShortcut& op) { ZeroPadOnHost(op, operands); },
                 [&](const cuda::ToNchw& op) { ToNchwOnHost(op, operands); },
                 [&](const cuda::Resample& op) { ResampleOnHost(op, operands); },
             },
             operation);
}

}  // namespace resnet_native::testing
