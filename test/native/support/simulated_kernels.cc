#include "test/native/support/simulated_kernels.h"

#include <algorithm>
#include <thread>
#include <vector>

#include "native/backends/cuda/half.h"
#include "native/backends/reference/kernels.h"
#include "native/graph/overloaded.h"

namespace resnet_native::testing {
namespace {

using cuda::Operands;
using Floats = std::vector<float>;

Floats Load(DType dtype, const void* data, int64_t count) {
  Floats values(count);
  for (int64_t i = 0; i < count; ++i) values[i] = cuda::LoadAs(dtype, data, i);
  return values;
}

void Store(DType dtype, const Floats& values, void* data) {
  for (size_t i = 0; i < values.size(); ++i) cuda::StoreAs(dtype, data, static_cast<int64_t>(i), values[i]);
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

// Calls body(first, last) for parts of [0, count), on two threads if there is much to do.
template <class Body>
void InParallel(int64_t count, int64_t work, Body body) {
  if (work < 10'000'000) return body(0, count);
  std::thread other([&] { body(0, count / 2); });
  body(count / 2, count);
  other.join();
}

class ConvolutionOnHost {
 public:
  ConvolutionOnHost(const cuda::Convolution& op, const Operands& operands)
      : op_(op),
        y_shape_(op.OutShape()),
        taps_(int64_t{op.window.kernel_h} * op.window.kernel_w),
        channels_(op.in_channels / op.groups),
        x_(Load(op.dtype, operands.x, op.n * op.h * op.w * op.in_channels)),
        filters_(Load(op.dtype, operands.filters, op.out_channels * taps_ * channels_)),
        operands_(operands),
        y_(y_shape_.elements()) {
    if (op.residual) residual_ = Load(op.dtype, operands.residual, y_shape_.elements());
  }

  void Run() {
    const int64_t pixels = y_shape_.n * y_shape_.h * y_shape_.w;
    InParallel(pixels, y_shape_.elements() * taps_ * channels_, [this](int64_t first, int64_t last) {
      Floats patch(taps_ * channels_);
      for (int64_t pixel = first; pixel < last; ++pixel) {
        for (int group = 0; group < op_.groups; ++group) {
          Gather(pixel, group, patch.data());
          Multiply(pixel, group, patch.data());
        }
      }
    });
    Store(op_.dtype, y_, operands_.y);
  }

 private:
  void Gather(int64_t pixel, int group, float* patch) const {
    const int64_t ow = pixel % y_shape_.w, oh = pixel / y_shape_.w % y_shape_.h,
                  n = pixel / y_shape_.w / y_shape_.h;
    const Window& window = op_.window;
    for (int kh = 0; kh < window.kernel_h; ++kh) {
      const int64_t h = oh * window.stride_h - window.pad_h + int64_t{kh} * window.dilation_h;
      for (int kw = 0; kw < window.kernel_w; ++kw, patch += channels_) {
        const int64_t w = ow * window.stride_w - window.pad_w + int64_t{kw} * window.dilation_w;
        if (h < 0 || h >= op_.h || w < 0 || w >= op_.w) {
          std::fill_n(patch, channels_, 0.0f);
        } else {
          std::copy_n(&x_[((n * op_.h + h) * op_.w + w) * op_.in_channels + group * channels_], channels_,
                      patch);
        }
      }
    }
  }

  void Multiply(int64_t pixel, int group, const float* patch) {
    const int64_t outputs = op_.out_channels / op_.groups;
    for (int64_t o = group * outputs; o < (group + 1) * outputs; ++o) {
      const int64_t at = pixel * op_.out_channels + o;
      float sum = Dot(patch, &filters_[o * taps_ * channels_], taps_ * channels_);
      if (op_.residual) sum += residual_[at];
      sum += operands_.shift[o];
      y_[at] = op_.relu ? Relu(sum) : sum;
    }
  }

  const cuda::Convolution& op_;
  const TensorShape y_shape_;
  const int64_t taps_, channels_;
  const Floats x_, filters_;
  Floats residual_;
  const Operands& operands_;
  Floats y_;
};

void LoadInputOnHost(const cuda::LoadInput& op, const Operands& operands) {
  const InputBatch input{operands.x, op.from, op.layout, op.n, op.h, op.w, op.channels};
  ChannelAffine affine;
  if (op.normalize) {
    affine.scale.assign(operands.scale, operands.scale + op.channels);
    affine.shift.assign(operands.shift, operands.shift + op.channels);
  }
  const int64_t pixels = op.n * op.h * op.w;
  Floats loaded(pixels * op.channels), padded(pixels * op.padded_channels, 0.0f);
  reference::LoadInput(input, op.normalize ? &affine : nullptr, loaded.data());
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    std::copy_n(&loaded[pixel * op.channels], op.channels, &padded[pixel * op.padded_channels]);
  }
  Store(op.to, padded, operands.y);
}

void LinearOnHost(const cuda::Linear& op, const Operands& operands) {
  const Floats x = Load(op.dtype, operands.x, op.rows * op.in_features);
  const Floats filters = Load(op.dtype, operands.filters, int64_t{op.out_features} * op.in_features);
  Floats y(op.rows * op.out_features);
  for (int64_t row = 0; row < op.rows; ++row) {
    for (int64_t o = 0; o < op.out_features; ++o) {
      y[row * op.out_features + o] =
          Dot(&x[row * op.in_features], &filters[o * op.in_features], op.in_features) + operands.shift[o];
    }
  }
  Store(op.to, y, operands.y);
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

void ScaleShiftOnHost(const cuda::ScaleShift& op, const Operands& operands) {
  OnFloats(op.dtype, {1, 1, op.pixels, op.channels}, op.pixels * op.channels, op.dtype, operands,
           [&](const reference::View& x, float* y) {
             for (int64_t i = 0; i < op.pixels * op.channels; ++i) {
               const int64_t c = i % op.channels;
               const float value = op.affine ? x.data[i] * operands.scale[c] + operands.shift[c] : x.data[i];
               y[i] = op.relu ? Relu(value) : value;
             }
           });
}

void AddOnHost(const cuda::AddTensors& op, const Operands& operands) {
  const TensorShape shape{1, 1, 1, op.elements};
  const Floats residual = Load(op.dtype, operands.residual, op.elements);
  OnFloats(op.dtype, shape, op.elements, op.dtype, operands, [&](const reference::View& x, float* y) {
    reference::Add(AddOp{op.relu}, x, {residual.data(), shape}, y);
  });
}

}  // namespace

void ComputeOnHost(const cuda::Operation& operation, const Operands& operands) {
  using reference::View;
  std::visit(
      Overloaded{
          [&](const cuda::LoadInput& op) { LoadInputOnHost(op, operands); },
          [&](const cuda::Convolution& op) { ConvolutionOnHost(op, operands).Run(); },
          [&](const cuda::Linear& op) { LinearOnHost(op, operands); },
          [&](const cuda::MaxPool& op) {
            OnFloats(op.dtype, {op.n, op.h, op.w, op.channels}, op.OutShape().elements(), op.dtype, operands,
                     [&](const View& x, float* y) {
                       reference::MaxPool2d(MaxPool2dOp{op.window}, x, op.OutShape(), y);
                     });
          },
          [&](const cuda::AveragePool& op) {
            OnFloats(op.dtype, {op.n, 1, op.pixels, op.channels}, op.n * op.channels, op.dtype, operands,
                     [](const View& x, float* y) { reference::GlobalAvgPool(x, y); });
          },
          [&](const cuda::AddTensors& op) { AddOnHost(op, operands); },
          [&](const cuda::ScaleShift& op) { ScaleShiftOnHost(op, operands); },
          [&](const cuda::ZeroPadShortcut& op) {
            const TensorShape y_shape{op.n, (op.h - 1) / op.stride + 1, (op.w - 1) / op.stride + 1,
                                      op.out_channels};
            OnFloats(
                op.dtype, {op.n, op.h, op.w, op.channels}, y_shape.elements(), op.dtype, operands,
                [&](const View& x, float* y) {
                  reference::ZeroPadShortcut(ZeroPadShortcutOp{op.stride, op.out_channels}, x, y_shape, y);
                });
          },
          [&](const cuda::ToNchw& op) {
            OnFloats(op.from, {op.n, 1, op.pixels, op.channels}, op.n * op.pixels * op.channels, op.to,
                     operands, [](const View& x, float* y) { reference::StoreOutput(x, y); });
          },
          [&](const cuda::Quantize&) {
            throw Error(ErrorCode::kUnsupported, "the simulated device has no int8");
          },
      },
      operation);
}

}  // namespace resnet_native::testing
