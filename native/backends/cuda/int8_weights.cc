#include "native/backends/cuda/int8_weights.h"

#include <algorithm>

#include "native/backends/cuda/device.h"
#include "native/graph/overloaded.h"
#include "native/graph/quantization.h"

namespace resnet_native::cuda {
namespace {

using Places = WeightImage::Places;

int8_t Stored(uint8_t byte) { return static_cast<int8_t>(byte - kStoredZero); }

Places AddAffine(float scale, float shift, WeightImage* image) {
  return image->AddAffine({.scale = {scale}, .shift = {shift}});
}

Places AddRequantization(const Requantization& to, WeightImage* image) {
  Places places = image->AddAffine({.scale = to.multiplier, .shift = to.offset});
  places.residual_scale = to.residual_multiplier;
  return places;
}

// Of a convolution or a linear layer.
struct Layer {
  const Filters& filters;
  const Weight& bias;
  Quantization x;
  std::optional<Quantization> residual, y;
  int64_t out = 0, in = 0, taps = 1, padding = 0;
};

// From torch's order to [out][taps][in], with zeros behind the input channels.
int64_t AddFilters(const Layer& layer, const Int8Filters& filters, WeightImage* image) {
  const int64_t padded = layer.in + layer.padding;
  const int64_t place = image->Reserve(layer.out * layer.taps * padded);
  auto* to = static_cast<int8_t*>(image->At(place));
  const int8_t* from = filters.values.data();
  for (int64_t o = 0; o < layer.out; ++o) {
    for (int64_t c = 0; c < layer.in; ++c) {
      for (int64_t tap = 0; tap < layer.taps; ++tap) to[(o * layer.taps + tap) * padded + c] = *from++;
    }
  }
  return place;
}

// For libraries, which multiply and give what is stored: see Operands::typed_shift.
std::vector<float> ShiftsOfStored(const Layer& layer, const Int8Filters& filters, const Requantization& to) {
  const int64_t each = layer.in * layer.taps;
  std::vector<float> shifts;
  for (int64_t o = 0; o < layer.out; ++o) {
    int64_t sum = 0;
    for (int64_t i = 0; i < each; ++i) sum += filters.values[o * each + i];
    double shift =
        to.offset[o] + static_cast<double>(to.multiplier[o]) * kStoredZero * static_cast<double>(sum);
    if (layer.residual) shift += static_cast<double>(to.residual_multiplier) * kStoredZero;
    if (layer.y) shift -= kStoredZero;
    shifts.push_back(static_cast<float>(shift));
  }
  return shifts;
}

Places AddLayer(const Layer& layer, const std::string& name, WeightImage* image) {
  const Int8Filters filters = QuantizeFilters(layer.filters, static_cast<int>(layer.out), name);
  const Requantization to = RequantizeProducts(filters, layer.bias, layer.x, layer.residual, layer.y);
  Places places = AddRequantization(to, image);
  places.filters = AddFilters(layer, filters, image);
  places.typed_shift = image->AddFloats(ShiftsOfStored(layer, filters, to));
  return places;
}

Places AddQuantization(const QuantizeOp& op, int channels, const Quantization& to, WeightImage* image) {
  Places places = AddAffine(1.0f / to.scale, static_cast<float>(to.zero_point), image);
  if (channels == 0) return places;
  const auto pixels = QuantizedPixels(channels, op.input_normalize, to);
  places.table = image->Reserve(pixels.size() * pixels[0].size());
  auto* table = static_cast<int8_t*>(image->At(places.table));
  for (const auto& bytes : pixels) table = std::transform(bytes.begin(), bytes.end(), table, Stored);
  return places;
}

Places AddMean(const Quantization& x, const std::optional<Quantization>& y, WeightImage* image) {
  // The scale depends on the size of the image; divided by one pixel, it is that of a sum.
  const Quantization held = y.value_or(Quantization{});
  Places places = AddRequantization(RequantizeMean(x, 1, y), image);
  places.pixel_scale = static_cast<double>(x.scale) / held.scale;
  return places;
}

}  // namespace

bool WorksOnBytes(const Graph& graph, NodeId id) {
  const Node& node = graph.nodes[id];
  return node.quantization || (!node.inputs.empty() && graph.nodes[node.inputs[0]].quantization);
}

Places AddInt8Parameters(const Graph& graph, NodeId id, int padding, WeightImage* image) {
  const Node& node = graph.nodes[id];
  const Node& input = graph.nodes[node.inputs[0]];
  const Quantization x = input.quantization.value_or(Quantization{});
  const auto residual = node.inputs.size() > 1 ? graph.nodes[node.inputs[1]].quantization : std::nullopt;
  const auto& y = node.quantization;
  return std::visit(Overloaded{
                        [&](const Conv2dOp& op) {
                          const int64_t taps = int64_t{op.window.kernel_h} * op.window.kernel_w;
                          return AddLayer({op.filters, op.bias, x, residual, y, op.out_channels,
                                           op.in_channels / op.groups, taps, padding},
                                          node.name, image);
                        },
                        [&](const LinearOp& op) {
                          return AddLayer({op.filters, op.bias, x, {}, y, op.out_features, op.in_features},
                                          node.name, image);
                        },
                        [&](const QuantizeOp& op) {
                          const auto* run = std::get_if<InputOp>(&input.op);
                          return AddQuantization(op, run ? run->channels : 0, *y, image);
                        },
                        [&](const DequantizeOp&) { return AddDequantization(x, image); },
                        [&](const GlobalAvgPoolOp&) { return AddMean(x, y, image); },
                        [&](const ReluOp&) { return AddRequantization(RequantizeSum(x, {}, y), image); },
                        [&](const AddOp&) { return AddRequantization(RequantizeSum(x, residual, y), image); },
                        [](const auto&) { return Places(); },
                    },
                    node.op);
}

// Powers of two times the scale, so that fma(byte, scale, shift) is (byte - zero point) * scale rounded once.
Places AddDequantization(const Quantization& from, WeightImage* image) {
  return AddAffine(from.scale, -static_cast<float>(from.zero_point) * from.scale, image);
}

}  // namespace resnet_native::cuda
