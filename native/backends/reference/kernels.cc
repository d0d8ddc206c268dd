#include "native/backends/reference/kernels.h"

#include <cmath>
#include <limits>

#include "native/backends/reference/loops.h"

namespace resnet_native::reference {
namespace {

// NaN stays NaN, as in torch: a comparison with NaN is false.
double ReluOf(double x) { return x < 0 ? 0 : x; }

double ConvAt(const Conv2dOp& op, const Weight& filters, const View& x, int64_t n, int64_t oh, int64_t ow,
              int64_t o) {
  const int64_t in_per_group = op.in_channels / op.groups;
  const int64_t first_channel = o / (op.out_channels / op.groups) * in_per_group;
  const double scale = op.filters.Scale(static_cast<int>(o));
  double sum = op.bias.empty() ? 0.0 : op.bias[o];
  ForEachTap(op.window, oh, ow, [&](int kh, int kw, int64_t h, int64_t w) {
    if (!IsInside(x.shape, h, w)) return;
    for (int64_t i = 0; i < in_per_group; ++i) {
      const int64_t tap = ((o * in_per_group + i) * op.window.kernel_h + kh) * op.window.kernel_w + kw;
      const float filter = static_cast<float>(filters[tap] * scale);
      sum += static_cast<double>(x.At(n, h, w, first_channel + i)) * filter;
    }
  });
  return sum;
}

}  // namespace

void LoadInput(const InputBatch& input, const ChannelAffine* normalize, float* y) {
  ForEachInputValue(input, [&](const void* image, int64_t from, int64_t c, int64_t index) {
    const auto* bytes = static_cast<const uint8_t*>(image);
    const auto* floats = static_cast<const float*>(image);
    if (input.dtype == DType::kFloat32) {
      y[index] = floats[from];
    } else if (normalize) {
      const double scaled = static_cast<double>(bytes[from]) * normalize->scale[c];
      y[index] = static_cast<float>(scaled + normalize->shift[c]);
    } else {
      y[index] = bytes[from];
    }
  });
}

void Conv2d(const Conv2dOp& op, const View& x, const float* residual, const TensorShape& y_shape, float* y) {
  const Weight filters = op.filters.values.Read();
  ForEach(y_shape, [&](int64_t n, int64_t h, int64_t w, int64_t o, int64_t index) {
    double sum = ConvAt(op, filters, x, n, h, w, o);
    if (residual) sum += residual[index];
    y[index] = static_cast<float>(op.relu ? ReluOf(sum) : sum);
  });
}

void BatchNorm(const BatchNormOp& op, const View& x, float* y) {
  ForEach(x.shape, [&](int64_t, int64_t, int64_t, int64_t c, int64_t index) {
    const double gamma = op.weight.empty() ? 1.0 : op.weight[c];
    const double beta = op.bias.empty() ? 0.0 : op.bias[c];
    const double scale = gamma / std::sqrt(static_cast<double>(op.running_var[c]) + op.eps);
    y[index] = static_cast<float>((static_cast<double>(x.data[index]) - op.running_mean[c]) * scale + beta);
  });
}

void Relu(const View& x, float* y) {
  for (int64_t i = 0; i < x.shape.elements(); ++i) y[i] = static_cast<float>(ReluOf(x.data[i]));
}

void MaxPool2d(const MaxPool2dOp& op, const View& x, const TensorShape& y_shape, float* y) {
  ForEach(y_shape, [&](int64_t n, int64_t oh, int64_t ow, int64_t c, int64_t index) {
    float best = -std::numeric_limits<float>::infinity();
    ForEachTap(op.window, oh, ow, [&](int, int, int64_t h, int64_t w) {
      if (!IsInside(x.shape, h, w)) return;
      const float value = x.At(n, h, w, c);
      if (value > best || std::isnan(value)) best = value;
    });
    y[index] = best;
  });
}

void GlobalAvgPool(const View& x, float* y) {
  ForEach({x.shape.n, 1, 1, x.shape.c}, [&](int64_t n, int64_t, int64_t, int64_t c, int64_t index) {
    double sum = 0;
    for (int64_t h = 0; h < x.shape.h; ++h) {
      for (int64_t w = 0; w < x.shape.w; ++w) sum += x.At(n, h, w, c);
    }
    y[index] = static_cast<float>(sum / static_cast<double>(x.shape.h * x.shape.w));
  });
}

void Flatten(const View& x, float* y) { StoreOutput(x, y); }

void Linear(const LinearOp& op, const View& x, float* y) {
  const Weight filters = op.filters.values.Read();
  for (int64_t n = 0; n < x.shape.n; ++n) {
    for (int64_t o = 0; o < op.out_features; ++o) {
      const double scale = op.filters.Scale(static_cast<int>(o));
      double sum = op.bias.empty() ? 0.0 : op.bias[o];
      for (int64_t i = 0; i < op.in_features; ++i) {
        const float weight = static_cast<float>(filters[o * op.in_features + i] * scale);
        sum += static_cast<double>(x.data[n * op.in_features + i]) * weight;
      }
      y[n * op.out_features + o] = static_cast<float>(sum);
    }
  }
}

void Add(const AddOp& op, const View& a, const View& b, float* y) {
  for (int64_t i = 0; i < a.shape.elements(); ++i) {
    const double sum = static_cast<double>(a.data[i]) + b.data[i];
    y[i] = static_cast<float>(op.relu ? ReluOf(sum) : sum);
  }
}

void ZeroPadShortcut(const ZeroPadShortcutOp& op, const View& x, const TensorShape& y_shape, float* y) {
  ForEach(y_shape, [&](int64_t n, int64_t h, int64_t w, int64_t c, int64_t index) {
    y[index] = c < x.shape.c ? x.At(n, h * op.stride, w * op.stride, c) : 0.0f;
  });
}

void StoreOutput(const View& x, float* y) {
  const TensorShape& shape = x.shape;
  ForEach(shape, [&](int64_t n, int64_t h, int64_t w, int64_t c, int64_t index) {
    y[NchwIndex(shape, n, h, w, c)] = x.data[index];
  });
}

}  // namespace resnet_native::reference
