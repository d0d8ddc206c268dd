#pragma once

#include "native/backend.h"
#include "native/graph/quantization.h"

// What a network quantised to int8 computes, to the bit (quantization.h says in which steps): one naive loop
// nest for each operation. Activations are NHWC bytes.

namespace resnet_native::reference {

struct ByteView {
  const uint8_t* data;
  TensorShape shape;
  Quantization quantization;

  uint8_t At(int64_t n, int64_t h, int64_t w, int64_t c) const {
    return data[((n * shape.h + h) * shape.w + w) * shape.c + c];
  }
};

// Where sums go: bytes or float32, as `to` says.
struct Int8Output {
  TensorShape shape;
  const Requantization& to;
  uint8_t* bytes;
  float* floats;

  void Put(int64_t index, int32_t sum, size_t channel, const uint8_t* residual) const;
};

// The run's input as bytes.
void QuantizeInput(const InputBatch& input, const std::optional<ChannelAffine>& normalize,
                   const Quantization& to, uint8_t* y);
void Quantize(const float* x, int64_t count, const Quantization& to, uint8_t* y);
void Dequantize(const ByteView& x, float* y);

// `residual` lies as the output; null for none.
void Conv2dInt8(const Conv2dOp& op, const Int8Filters& filters, const ByteView& x, const uint8_t* residual,
                const Int8Output& y);
void LinearInt8(const LinearOp& op, const Int8Filters& filters, const ByteView& x, const Int8Output& y);
void MaxPool2dInt8(const MaxPool2dOp& op, const ByteView& x, const TensorShape& y_shape, uint8_t* y);
void GlobalAvgPoolInt8(const ByteView& x, const Int8Output& y);
// One value, or the sum of two where `b` is not null: ReLU and additions.
void RescaleInt8(const ByteView& a, const uint8_t* b, const Int8Output& y);
void FlattenInt8(const ByteView& x, uint8_t* y);
void ZeroPadShortcutInt8(const ZeroPadShortcutOp& op, const ByteView& x, const TensorShape& y_shape,
                         uint8_t* y);

}  // namespace resnet_native::reference
