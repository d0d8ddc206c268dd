#include "native/backends/reference/int8_kernels.h"

#include <algorithm>

#include "native/backends/reference/loops.h"

namespace resnet_native::reference {

void Int8Output::Put(int64_t index, int32_t sum, size_t channel, const uint8_t* residual) const {
  const float y = Requantize(sum, channel, to, residual ? residual + index : nullptr);
  if (to.to_bytes) {
    bytes[index] = static_cast<uint8_t>(y);
  } else {
    floats[index] = y;
  }
}

void QuantizeInput(const InputBatch& input, const std::optional<ChannelAffine>& normalize,
                   const Quantization& to, uint8_t* y) {
  const auto pixels = QuantizedPixels(static_cast<int>(input.c), normalize, to);
  ForEachInputValue(input, [&](const void* image, int64_t from, int64_t c, int64_t index) {
    const auto* bytes = static_cast<const uint8_t*>(image);
    const auto* floats = static_cast<const float*>(image);
    y[index] = input.dtype == DType::kFloat32 ? QuantizeValue(floats[from], to) : pixels[c][bytes[from]];
  });
}

void Quantize(const float* x, int64_t count, const Quantization& to, uint8_t* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = QuantizeValue(x[i], to);
}

void Dequantize(const ByteView& x, float* y) {
  for (int64_t i = 0; i < x.shape.elements(); ++i) y[i] = DequantizeValue(x.data[i], x.quantization);
}

void Conv2dInt8(const Conv2dOp& op, const Int8Filters& filters, const ByteView& x, const uint8_t* residual,
                const Int8Output& y) {
  const int64_t in_per_group = op.in_channels / op.groups;
  ForEach(y.shape, [&](int64_t n, int64_t oh, int64_t ow, int64_t o, int64_t index) {
    const int64_t first_channel = o / (op.out_channels / op.groups) * in_per_group;
    int32_t sum = 0;
    ForEachTap(op.window, oh, ow, [&](int kh, int kw, int64_t h, int64_t w) {
      const bool inside = IsInside(x.shape, h, w);
      for (int64_t i = 0; i < in_per_group; ++i) {
        const int64_t tap = ((o * in_per_group + i) * op.window.kernel_h + kh) * op.window.kernel_w + kw;
        const int32_t value = inside ? x.At(n, h, w, first_channel + i) : x.quantization.zero_point;
        sum += value * filters.values[tap];
      }
    });
    y.Put(index, sum, o, residual);
  });
}

void LinearInt8(const LinearOp& op, const Int8Filters& filters, const ByteView& x, const Int8Output& y) {
  for (int64_t n = 0; n < x.shape.n; ++n) {
    for (int64_t o = 0; o < op.out_features; ++o) {
      int32_t sum = 0;
      for (int64_t i = 0; i < op.in_features; ++i) {
        sum += x.data[n * op.in_features + i] * filters.values[o * op.in_features + i];
      }
      y.Put(n * op.out_features + o, sum, o, nullptr);
    }
  }
}

void MaxPool2dInt8(const MaxPool2dOp& op, const ByteView& x, const TensorShape& y_shape, uint8_t* y) {
  ForEach(y_shape, [&](int64_t n, int64_t oh, int64_t ow, int64_t c, int64_t index) {
    uint8_t best = 0;
    ForEachTap(op.window, oh, ow, [&](int, int, int64_t h, int64_t w) {
      if (IsInside(x.shape, h, w)) best = std::max(best, x.At(n, h, w, c));
    });
    y[index] = best;
  });
}

void GlobalAvgPoolInt8(const ByteView& x, const Int8Output& y) {
  ForEach(y.shape, [&](int64_t n, int64_t, int64_t, int64_t c, int64_t index) {
    int32_t sum = 0;
    for (int64_t h = 0; h < x.shape.h; ++h) {
      for (int64_t w = 0; w < x.shape.w; ++w) sum += x.At(n, h, w, c);
    }
    y.Put(index, sum, 0, nullptr);
  });
}

void RescaleInt8(const ByteView& a, const uint8_t* b, const Int8Output& y) {
  for (int64_t i = 0; i < a.shape.elements(); ++i) y.Put(i, a.data[i], 0, b);
}

void FlattenInt8(const ByteView& x, uint8_t* y) {
  ForEach(x.shape, [&](int64_t n, int64_t h, int64_t w, int64_t c, int64_t index) {
    y[NchwIndex(x.shape, n, h, w, c)] = x.data[index];
  });
}

void ZeroPadShortcutInt8(const ZeroPadShortcutOp& op, const ByteView& x, const TensorShape& y_shape,
                         uint8_t* y) {
  const auto zero = static_cast<uint8_t>(x.quantization.zero_point);
  ForEach(y_shape, [&](int64_t n, int64_t h, int64_t w, int64_t c, int64_t index) {
    y[index] = c < x.shape.c ? x.At(n, h * op.stride, w * op.stride, c) : zero;
  });
}

}  // namespace resnet_native::reference
