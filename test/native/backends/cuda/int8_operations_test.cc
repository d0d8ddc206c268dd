// Every operation of the CUDA backend on bytes against the reference kernels, which follow
// native/graph/quantization.h: kernels of ours give the same bits, a library's candidates may be off by 1.

#include <cmath>

#include "native/backends/reference/int8_kernels.h"
#include "native/graph/quantization.h"
#include "test/native/support/cuda_operations.h"
#include "test/native/support/square.h"

namespace resnet_native::cuda::testing {
namespace {

using resnet_native::testing::Square;

constexpr DType kBytes = DType::kInt8, kFloat = DType::kFloat32;

class Int8Operations : public OperationTest {};
RESNET_NATIVE_EACH_EXECUTOR(Int8Operations);

std::vector<float> ToFloats(const std::vector<uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

std::vector<uint8_t> StoredFilters(const std::vector<int8_t>& filters) {
  return {filters.begin(), filters.end()};
}

// What the reference makes of it, as bytes or as float32.
struct ReferenceOutput {
  ReferenceOutput(const TensorShape& shape, const Requantization& to)
      : bytes(shape.elements()), floats(shape.elements()), output{shape, to, bytes.data(), floats.data()} {}
  std::vector<float> Values() const { return output.to.to_bytes ? ToFloats(bytes) : floats; }

  std::vector<uint8_t> bytes;
  std::vector<float> floats;
  reference::Int8Output output;
};

std::vector<float> Affine(float scale, float shift, size_t size) {
  std::vector<float> values(size);
  for (size_t i = 0; i < size; ++i) values[i] = scale + shift * static_cast<float>(i % 7);
  return values;
}

// ---- Convolutions ----

struct ConvCase {
  Convolution op;
  OperandData data;
  std::vector<float> expected;
  double typical = 0;  // size of what is added up to a result
};

std::vector<int8_t> RandomFilters(int64_t size) {
  std::vector<int8_t> filters(size);
  const std::vector<uint8_t> bytes = RandomBytes(size, 17);
  for (int64_t i = 0; i < size; ++i) filters[i] = static_cast<int8_t>(std::max(-127, bytes[i] - 128));
  return filters;
}

// From [k][taps][c] to torch's order.
std::vector<int8_t> InTorchsOrder(const std::vector<int8_t>& filters, int k, int taps, int channels) {
  std::vector<int8_t> torch(filters.size());
  for (int64_t i = 0; i < static_cast<int64_t>(filters.size()); ++i) {
    const int64_t c = i % channels, tap = i / channels % taps, o = i / channels / taps;
    torch[(o * channels + c) * taps + tap] = filters[i];
  }
  EXPECT_EQ(filters.size(), static_cast<size_t>(k) * taps * channels);
  return torch;
}

// Scales that spread results over all bytes and beyond both ends.
Requantization MakeRequantization(const Convolution& op, const std::vector<int8_t>& filters) {
  const int64_t each = static_cast<int64_t>(filters.size()) / op.out_channels;
  Requantization to;
  to.multiplier = Affine(0.012f, 0.0003f, op.out_channels);
  to.offset.resize(op.out_channels);
  for (int k = 0; k < op.out_channels; ++k) {
    int64_t sum = 0;
    for (int64_t i = 0; i < each; ++i) sum += filters[k * each + i];
    to.multiplier[k] /= std::sqrt(static_cast<float>(each));
    to.offset[k] = 90.0f + static_cast<float>(k % 5) - to.multiplier[k] * 128 * static_cast<float>(sum);
  }
  to.residual_multiplier = 0.43f;
  to.to_bytes = !op.to_float;
  to.relu = op.relu;
  return to;
}

// What a library adds behind the products of stored values.
std::vector<float> ShiftsOfStored(const Convolution& op, const std::vector<int8_t>& filters,
                                  const Requantization& to) {
  const int64_t each = static_cast<int64_t>(filters.size()) / op.out_channels;
  std::vector<float> shifts;
  for (int k = 0; k < op.out_channels; ++k) {
    double shift =
        to.offset[k] + (op.residual ? to.residual_multiplier * 128.0 : 0) - (op.to_float ? 0 : 128);
    for (int64_t i = 0; i < each; ++i) shift += to.multiplier[k] * 128.0 * filters[k * each + i];
    shifts.push_back(static_cast<float>(shift));
  }
  return shifts;
}

ConvCase MakeConv(const Convolution& op) {
  const int channels = op.in_channels / op.groups, taps = op.window.kernel_h * op.window.kernel_w;
  const TensorShape in{op.n, op.h, op.w, op.in_channels}, out = op.OutShape();
  const std::vector<uint8_t> x = RandomBytes(in.elements(), 16);
  const std::vector<uint8_t> residual = RandomBytes(out.elements(), 18);
  const std::vector<int8_t> filters = RandomFilters(int64_t{op.out_channels} * taps * channels);
  const Requantization to = MakeRequantization(op, filters);

  Conv2dOp conv{.window = op.window,
                .in_channels = op.in_channels,
                .out_channels = op.out_channels,
                .groups = op.groups};
  const Int8Filters torch{InTorchsOrder(filters, op.out_channels, taps, channels), {}};
  ReferenceOutput reference(out, to);
  reference::Conv2dInt8(conv, torch, {x.data(), in, {1, op.zero_point}},
                        op.residual ? residual.data() : nullptr, reference.output);

  ConvCase result{.op = op, .expected = reference.Values()};
  result.typical = to.multiplier[0] * 255.0 * 127 * channels * taps + 400;
  OperandData& data = result.data;
  data.x = Encode(kBytes, ToFloats(x));
  if (op.residual) data.residual = Encode(kBytes, ToFloats(residual));
  data.filters = StoredFilters(filters);
  data.scale = to.multiplier;
  data.shift = to.offset;
  data.typed_shift = Encode(kFloat, ShiftsOfStored(op, filters, to));
  data.residual_scale = to.residual_multiplier;
  return result;
}

class Int8Convolutions : public OperationTest {
 protected:
  void ExpectConv(const Convolution& op) {
    const ConvCase conv = MakeConv(op);
    // A library rounds a few numbers of that size in float32, in an order of its own; as a byte, the result
    // may fall to the other side of a half.
    const double bound = op.to_float ? 8 * std::ldexp(1, -24) * conv.typical : 1;
    Expect(
        op, conv.data, op.to(), conv.expected, [&](size_t, double) { return bound; }, true);
  }
  void ExpectBothZeroPoints(Convolution op) {
    for (const int zero_point : {0, kStoredZero}) {
      op.zero_point = zero_point;
      ExpectConv(op);
    }
  }
};
RESNET_NATIVE_EACH_EXECUTOR(Int8Convolutions);

TEST_P(Int8Convolutions, EveryKindOfWindow) {
  ExpectBothZeroPoints({kBytes, 2, 9, 7, 16, 32, 1, Square(3, 1, 1)});
  ExpectBothZeroPoints({kBytes, 1, 9, 7, 16, 16, 1, Square(3, 2, 1)});
  ExpectBothZeroPoints({kBytes, 2, 5, 6, 32, 16, 1, Square(1, 1, 0)});
  ExpectBothZeroPoints({kBytes, 2, 5, 6, 16, 48, 1, Square(1, 2, 0)});
  ExpectBothZeroPoints({kBytes, 1, 17, 15, 4, 16, 1, Square(7, 2, 3)});
  ExpectBothZeroPoints({kBytes, 1, 9, 9, 16, 16, 1, Square(3, 1, 2, 2)});
  ExpectBothZeroPoints({kBytes, 1, 8, 9, 16, 16, 1, {3, 1, 1, 2, 0, 1, 1, 1}});
}

TEST_P(Int8Convolutions, ResidualAndRelu) {
  for (const bool residual : {true, false}) {
    for (const bool relu : {true, false}) {
      for (const bool to_float : {true, false}) {
        ExpectConv({kBytes, 2, 7, 5, 32, 64, 1, Square(1, 1, 0), residual, relu, 0, to_float});
        ExpectConv({kBytes, 1, 6, 7, 16, 32, 1, Square(3, 1, 1), residual, relu, 0, to_float});
        ExpectConv({kBytes, 1, 6, 7, 16, 32, 1, Square(3, 1, 1), residual, relu, kStoredZero, to_float});
      }
    }
  }
}

TEST_P(Int8Convolutions, GroupsAndOddChannels) {
  ExpectBothZeroPoints({kBytes, 1, 6, 5, 32, 32, 8, Square(3, 1, 1), true});
  ExpectBothZeroPoints({kBytes, 1, 6, 5, 64, 64, 2, Square(3, 2, 1)});
  ExpectBothZeroPoints({kBytes, 1, 5, 5, 8, 8, 8, Square(3, 1, 1)});
  ExpectBothZeroPoints({kBytes, 1, 5, 4, 3, 7, 1, Square(3, 1, 1)});
  ExpectBothZeroPoints({kBytes, 1, 5, 4, 7, 5, 1, Square(1, 1, 0), true});
  ExpectBothZeroPoints({kBytes, 1, 4, 5, 20, 12, 1, Square(3, 1, 1)});
  ExpectBothZeroPoints({kBytes, 1, 1, 1, 1, 1, 1, Square(1, 1, 0), true});
}

TEST_P(Int8Convolutions, LinearLayersAreConvolutionsOfOnePixel) {
  for (const bool to_float : {true, false}) {
    for (const auto& [rows, in, out] : {std::tuple{1, 64, 1000}, {3, 7, 5}, {5, 36, 10}, {8, 512, 24}}) {
      Convolution pointwise{kBytes, rows, 1, 1, in, out, 1, Square(1, 1, 0)};
      pointwise.to_float = to_float;
      const ConvCase conv = MakeConv(pointwise);
      const double bound = to_float ? 8 * std::ldexp(1, -24) * conv.typical : 1;
      Expect(
          Linear{kBytes, pointwise.to(), rows, in, out}, conv.data, pointwise.to(), conv.expected,
          [&](size_t, double) { return bound; }, true);
    }
  }
}

// ---- The rest is ours alone, and exact ----

TEST_P(Int8Operations, LoadInputQuantises) {
  const ChannelAffine normalize{{0.0171f, 0.0175f, 0.0174f, 0.02f}, {-2.1f, -2.0f, -1.8f, 0.5f}};
  const Quantization to{0.0207f, kStoredZero};
  for (const auto& [channels, padded] : {std::pair{3, 4}, {3, 8}, {3, 3}, {1, 4}, {4, 4}}) {
    const auto pixels = QuantizedPixels(channels, normalize, to);
    OperandData data{.scale = {1 / to.scale}, .shift = {static_cast<float>(to.zero_point)}};
    for (const auto& bytes : pixels) {
      for (const uint8_t byte : bytes) data.table.push_back(static_cast<uint8_t>(byte - kStoredZero));
    }
    for (const DType from : {DType::kUint8, kFloat}) {
      for (const Layout layout : {Layout::kNhwc, Layout::kNchw}) {
        if (from == DType::kUint8 && layout == Layout::kNchw) continue;
        const TensorShape shape{2, 5, 7, channels};
        std::vector<float> floats = Random(kFloat, shape.elements(), 3);
        floats[4] = std::nanf("");
        floats[5] = INFINITY;
        data.x = from == kFloat ? Encode(kFloat, floats) : RandomBytes(shape.elements(), 3);
        std::vector<uint8_t> dense(shape.elements());
        InputBatch input{nullptr, from, layout, shape.n, shape.h, shape.w, channels};
        const auto images = ImagesIn(data.x.data(), shape.n, input.image_bytes());
        input.images = images.data();
        reference::QuantizeInput(input, normalize, to, dense.data());
        std::vector<float> expected(dense.size() / channels * padded);
        for (size_t i = 0; i < dense.size(); ++i) expected[i / channels * padded + i % channels] = dense[i];
        ExpectExact(LoadInput{from, kBytes, layout, shape.n, shape.h, shape.w, channels, padded}, data,
                    kBytes, expected);
      }
    }
  }
}

TEST_P(Int8Operations, QuantizeAndDequantize) {
  for (const int zero_point : {0, kStoredZero}) {
    const Quantization to{0.037f, zero_point};
    for (const int64_t elements : {1, 3, 15, 16, 17, 1000}) {
      std::vector<float> x = Random(kFloat, elements, 15);
      for (float& value : x) value *= 6;
      x[0] = elements > 1 ? std::nanf("") : x[0];
      std::vector<uint8_t> bytes(elements);
      reference::Quantize(x.data(), elements, to, bytes.data());
      const Elementwise quantize{kFloat, kBytes, elements, 1, true};
      const auto zero = static_cast<float>(zero_point);
      ExpectExact(quantize, {.x = Encode(kFloat, x), .scale = {1 / to.scale}, .shift = {zero}}, kBytes,
                  ToFloats(bytes));

      std::vector<float> floats(elements);
      reference::Dequantize({bytes.data(), {1, 1, 1, elements}, to}, floats.data());
      const OperandData back{
          .x = Encode(kBytes, ToFloats(bytes)), .scale = {to.scale}, .shift = {-zero * to.scale}};
      ExpectExact(Elementwise{kBytes, kFloat, elements, 1, true}, back, kFloat, floats);
      ExpectExact(ToNchw{kBytes, kFloat, elements, 1, 1}, back, kFloat, floats);
    }
  }
}

TEST_P(Int8Operations, AdditionAndRelu) {
  for (const int64_t elements : {1, 16, 31, 500}) {
    const TensorShape shape{1, 1, 1, elements};
    const std::vector<uint8_t> a = RandomBytes(elements, 5), b = RandomBytes(elements, 6);
    for (const bool residual : {true, false}) {
      for (const bool to_float : {true, false}) {
        for (const bool relu : {true, false}) {
          const std::optional<Quantization> other = Quantization{0.013f, 0};
          const std::optional<Quantization> y = Quantization{0.02f, relu ? 0 : kStoredZero};
          Requantization to = RequantizeSum({0.021f, kStoredZero}, residual ? other : std::nullopt,
                                            to_float ? std::nullopt : y);
          to.relu = relu;
          ReferenceOutput expected(shape, to);
          reference::RescaleInt8({a.data(), shape, {}}, residual ? b.data() : nullptr, expected.output);
          const DType type = to_float ? kFloat : kBytes;
          ExpectExact(Elementwise{kBytes, type, elements, 1, true, residual, relu},
                      {.x = Encode(kBytes, ToFloats(a)),
                       .residual = Encode(kBytes, ToFloats(b)),
                       .scale = to.multiplier,
                       .shift = to.offset,
                       .residual_scale = to.residual_multiplier},
                      type, expected.Values());
        }
      }
    }
  }
}

TEST_P(Int8Operations, MaxPool) {
  for (const Window& window : {Square(3, 2, 1), Square(2, 2, 0), Window{3, 2, 1, 3, 1, 0, 2, 1}}) {
    for (const int channels : {1, 5, 16, 40, 64}) {
      const MaxPool op{kBytes, 2, 9, 7, channels, window};
      const TensorShape in{2, 9, 7, channels};
      const std::vector<uint8_t> x = RandomBytes(in.elements(), 11);
      std::vector<uint8_t> expected(op.OutShape().elements());
      reference::MaxPool2dInt8({window}, {x.data(), in, {}}, op.OutShape(), expected.data());
      ExpectExact(op, {.x = Encode(kBytes, ToFloats(x))}, kBytes, ToFloats(expected));
    }
  }
}

TEST_P(Int8Operations, AveragePool) {
  for (const int channels : {1, 7, 16, 48, 520}) {
    for (const int64_t side : {1, 2, 7}) {
      for (const bool to_float : {true, false}) {
        const TensorShape in{3, side, side, channels};
        const std::vector<uint8_t> x = RandomBytes(in.elements(), 12);
        const Quantization from{0.03f, kStoredZero};
        const std::optional<Quantization> y = Quantization{0.01f, kStoredZero};
        const Requantization to = RequantizeMean(from, side * side, to_float ? std::nullopt : y);
        ReferenceOutput expected({3, 1, 1, channels}, to);
        reference::GlobalAvgPoolInt8({x.data(), in, from}, expected.output);
        ExpectExact(AveragePool{kBytes, 3, side * side, channels, to_float},
                    {.x = Encode(kBytes, ToFloats(x)),
                     .shift = to.offset,
                     .pixel_scale = static_cast<double>(from.scale) / (to_float ? 1.0f : y->scale)},
                    to_float ? kFloat : kBytes, expected.Values());
      }
    }
  }
}

TEST_P(Int8Operations, ZeroPadShortcut) {
  for (const int zero_point : {0, kStoredZero}) {
    for (const auto& [channels, out_channels] : {std::pair{16, 32}, {3, 7}, {16, 20}, {8, 8}, {1, 64}}) {
      const TensorShape in{2, 7, 5, channels}, out{2, 4, 3, out_channels};
      const std::vector<uint8_t> x = RandomBytes(in.elements(), 13);
      std::vector<uint8_t> expected(out.elements());
      reference::ZeroPadShortcutInt8({2, out_channels}, {x.data(), in, {1, zero_point}}, out,
                                     expected.data());
      ExpectExact(ZeroPadShortcut{kBytes, 2, 7, 5, channels, out_channels, 2, zero_point},
                  {.x = Encode(kBytes, ToFloats(x))}, kBytes, ToFloats(expected));
    }
  }
}

TEST_P(Int8Operations, FlattenKeepsBytes) {
  for (const auto& [h, w, channels] :
       {std::tuple{1, 1, 100}, {7, 7, 33}, {1, 5, 1}, {8, 8, 64}, {33, 31, 3}}) {
    const TensorShape shape{2, h, w, channels};
    const std::vector<uint8_t> x = RandomBytes(shape.elements(), 14);
    std::vector<uint8_t> expected(x.size());
    reference::FlattenInt8({x.data(), shape, {}}, expected.data());
    const OperandData data{.x = Encode(kBytes, ToFloats(x)), .scale = {0.125f}, .shift = {-16}};
    ExpectExact(ToNchw{kBytes, kBytes, 2, int64_t{h} * w, channels}, data, kBytes, ToFloats(expected));
    std::vector<float> floats = ToFloats(expected);
    for (float& value : floats) value = value * 0.125f - 16;  // exact
    ExpectExact(ToNchw{kBytes, kFloat, 2, int64_t{h} * w, channels}, data, kFloat, floats);
  }
}

}  // namespace
}  // namespace resnet_native::cuda::testing
