#pragma once

#include "native/backend.h"
#include "native/graph/graph.h"

// The truth that every other kernel is tested against: one naive loop nest for each operation, sums in
// double, one rounding to float32 at the end. Activations are NHWC float32. Nothing here is fast, and nothing
// here should be.

namespace resnet_native::reference {

struct View {
  const float* data;
  TensorShape shape;

  float At(int64_t n, int64_t h, int64_t w, int64_t c) const {
    return data[((n * shape.h + h) * shape.w + w) * shape.c + c];
  }
};

// The run's input as NHWC float32; uint8 is normalised with `normalize`, or converted as it is where that is
// null.
void LoadInput(const InputBatch& input, const ChannelAffine* normalize, float* y);

// `residual` has the output's shape; null if the operation has none. `op.input_normalize` is not looked at:
// the caller loads the input with it.
void Conv2d(const Conv2dOp& op, const View& x, const float* residual, const TensorShape& y_shape, float* y);
void BatchNorm(const BatchNormOp& op, const View& x, float* y);
void Relu(const View& x, float* y);
void MaxPool2d(const MaxPool2dOp& op, const View& x, const TensorShape& y_shape, float* y);
void GlobalAvgPool(const View& x, float* y);
void Flatten(const View& x, float* y);
void Linear(const LinearOp& op, const View& x, float* y);
void Add(const AddOp& op, const View& a, const View& b, float* y);
void ZeroPadShortcut(const ZeroPadShortcutOp& op, const View& x, const TensorShape& y_shape, float* y);

// NHWC to NCHW: what a run hands back.
void StoreOutput(const View& x, float* y);

}  // namespace resnet_native::reference
