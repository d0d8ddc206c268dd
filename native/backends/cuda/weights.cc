#include "native/backends/cuda/weights.h"

#include <cmath>

#include "native/half.h"

namespace resnet_native::cuda {

int64_t WeightImage::Reserve(size_t bytes) {
  const size_t place = (bytes_.size() + kAlignment - 1) / kAlignment * kAlignment;
  bytes_.resize(place + bytes);
  return static_cast<int64_t>(place);
}

int64_t WeightImage::AddFloats(const std::vector<float>& values) {
  const int64_t place = Reserve(values.size() * sizeof(float));
  std::copy(values.begin(), values.end(), static_cast<float*>(At(place)));
  return place;
}

void WeightImage::AddBias(const Weight& bias, int channels, DType dtype, Places* places) {
  std::vector<float> values(channels, 0.0f);
  for (size_t i = 0; i < bias.size; ++i) values[i] = bias[i];
  places->shift = AddFloats(values);
  places->typed_shift = Reserve(values.size() * ElementSize(dtype));
  for (int i = 0; i < channels; ++i) StoreAs(dtype, At(places->typed_shift), i, values[i]);
}

WeightImage::Places WeightImage::AddConvolution(const Conv2dOp& op, DType dtype, int padding) {
  const int64_t taps = int64_t{op.window.kernel_h} * op.window.kernel_w;
  const int64_t channels = op.in_channels / op.groups;
  const int64_t padded = channels + padding;
  Places places;
  places.filters = Reserve(op.out_channels * taps * padded * ElementSize(dtype));
  void* to = At(places.filters);
  const Weight filters = op.filters.values.Read();
  const float* from = filters.data;
  for (int64_t o = 0; o < op.out_channels; ++o) {
    const double scale = op.filters.Scale(static_cast<int>(o));
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        StoreAs(dtype, to, (o * taps + tap) * padded + c, static_cast<float>(*from++ * scale));
      }
    }
  }
  AddBias(op.bias, op.out_channels, dtype, &places);
  return places;
}

WeightImage::Places WeightImage::AddLinear(const LinearOp& op, DType dtype) {
  Places places;
  const int64_t count = static_cast<int64_t>(op.filters.values.size());
  const Weight filters = op.filters.values.Read();
  places.filters = Reserve(static_cast<size_t>(count) * ElementSize(dtype));
  void* to = At(places.filters);
  for (int64_t i = 0; i < count; ++i) {
    const double scale = op.filters.Scale(static_cast<int>(i / op.in_features));
    StoreAs(dtype, to, i, static_cast<float>(filters[i] * scale));
  }
  AddBias(op.bias, op.out_features, dtype, &places);
  return places;
}

WeightImage::Places WeightImage::AddBatchNorm(const BatchNormOp& op) {
  ChannelAffine affine;
  for (size_t c = 0; c < op.running_mean.size; ++c) {
    const double gamma = op.weight.empty() ? 1.0 : op.weight[c];
    const double beta = op.bias.empty() ? 0.0 : op.bias[c];
    const double scale = gamma / std::sqrt(static_cast<double>(op.running_var[c]) + op.eps);
    affine.scale.push_back(static_cast<float>(scale));
    affine.shift.push_back(static_cast<float>(beta - op.running_mean[c] * scale));
  }
  return AddAffine(affine);
}

WeightImage::Places WeightImage::AddAffine(const ChannelAffine& affine) {
  Places places;
  places.scale = AddFloats(affine.scale);
  places.shift = AddFloats(affine.shift);
  return places;
}

Operands OperandsAt(const WeightImage::Places& places, const void* base) {
  const auto at = [base](int64_t place) -> const void* {
    return place < 0 ? nullptr : static_cast<const char*>(base) + place;
  };
  Operands operands;
  operands.filters = at(places.filters);
  operands.scale = static_cast<const float*>(at(places.scale));
  operands.shift = static_cast<const float*>(at(places.shift));
  operands.typed_shift = at(places.typed_shift);
  operands.table = static_cast<const int8_t*>(at(places.table));
  operands.residual_scale = places.residual_scale;
  operands.pixel_scale = places.pixel_scale;
  return operands;
}

}  // namespace resnet_native::cuda
