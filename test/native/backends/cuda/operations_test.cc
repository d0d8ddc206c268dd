// Every operation of the CUDA backend in the float types against the reference kernels: the bodies of our own
// kernels on the host and, where there is a GPU, every candidate on it.

#include <cmath>

#include "native/backends/reference/kernels.h"
#include "native/graph/graph.h"
#include "test/native/support/cuda_operations.h"
#include "test/native/support/square.h"

namespace resnet_native::cuda::testing {
namespace {

constexpr DType kFloats[] = {DType::kFloat32, DType::kFloat16, DType::kBfloat16};

// Half of the distance between 1 and the next number: the largest relative error of one rounding.
double UnitRoundoff(DType dtype) {
  switch (dtype) {
    case DType::kFloat16:
      return std::ldexp(1, -11);
    case DType::kBfloat16:
      return std::ldexp(1, -8);
    case DType::kTf32:  // of an operand; sums and results are float32
      return std::ldexp(1, -11);
    default:
      return std::ldexp(1, -24);
  }
}

// The largest error of a result of this size after `sums`, the sum of the magnitudes of `terms` terms, was
// added up in float32 in any order and rounded once to `dtype` (see ConvTolerance in cpu_steps.h). Below the
// normal range a rounding's error is half the smallest subnormal.
double Tolerance(DType dtype, double result, double sums, int64_t terms) {
  const double sum = static_cast<double>(terms + 3) * std::ldexp(1, -24) * sums;
  const double subnormal = dtype == DType::kFloat16 ? std::ldexp(1, -25) : 0;
  return sum + UnitRoundoff(dtype) * (std::abs(result) + sum) + subnormal;
}

using resnet_native::testing::Square;

class Operations : public OperationTest {};
RESNET_NATIVE_EACH_EXECUTOR(Operations);

constexpr float kScale[] = {0.0171f, 0.0175f, 0.0174f, 0.5f, 0.25f};
constexpr float kShift[] = {-2.1f, -2.0f, -1.8f, 0.5f, 0.0f};

// The reference's NHWC activation, spread over the padded channels.
std::vector<float> Padded(const std::vector<float>& dense, int channels, int padded) {
  std::vector<float> values(dense.size() / channels * padded);
  for (size_t i = 0; i < dense.size(); ++i) values[i / channels * padded + i % channels] = dense[i];
  return values;
}

TEST_P(Operations, LoadInputNormalisesAndPads) {
  struct Case {
    DType from;
    Layout layout;
    int64_t n, h, w;
    int channels, padded;
  };
  const Case cases[] = {
      {DType::kUint8, Layout::kNhwc, 1, 1, 1, 3, 4},   {DType::kUint8, Layout::kNhwc, 2, 7, 9, 3, 4},
      {DType::kUint8, Layout::kNhwc, 3, 5, 5, 3, 8},   {DType::kUint8, Layout::kNhwc, 1, 9, 3, 3, 3},
      {DType::kUint8, Layout::kNhwc, 2, 3, 5, 1, 8},   {DType::kUint8, Layout::kNhwc, 1, 4, 4, 5, 8},
      {DType::kFloat32, Layout::kNhwc, 2, 5, 3, 3, 4}, {DType::kFloat32, Layout::kNchw, 2, 5, 3, 3, 8},
      {DType::kFloat32, Layout::kNchw, 3, 1, 7, 5, 5}, {DType::kFloat32, Layout::kNchw, 1, 31, 33, 1, 4},
  };
  for (const Case& c : cases) {
    for (const DType to : kFloats) {
      for (const bool normalize : {true, false}) {
        const int64_t size = c.n * c.h * c.w * c.channels;
        OperandData data{.scale = {kScale, kScale + c.channels}, .shift = {kShift, kShift + c.channels}};
        data.x = c.from == DType::kUint8 ? RandomBytes(size, 3) : Encode(c.from, Random(c.from, size, 3));
        InputBatch input{nullptr, c.from, c.layout, c.n, c.h, c.w, c.channels};
        const auto images = ImagesIn(data.x.data(), c.n, input.image_bytes());
        input.images = images.data();
        // float32 input is normalised already where it comes from a user.
        const bool applied = normalize && c.from == DType::kUint8;
        const ChannelAffine affine{data.scale, data.shift};
        std::vector<float> expected(size);
        reference::LoadInput(input, applied ? &affine : nullptr, expected.data());
        const LoadInput op{c.from, to, c.layout, c.n, c.h, c.w, c.channels, c.padded, applied};
        Expect(op, data, to, Padded(expected, c.channels, c.padded),
               [&](size_t, double y) { return Tolerance(to, y, applied ? 255 * 0.02 + 2.1 : 0, 2); });
      }
    }
  }
}

TEST_P(Operations, Addition) {
  for (const DType dtype : kFloats) {
    for (const int64_t elements : {1, 7, 8, 9, 1023, 2048, 4099}) {
      for (const bool relu : {true, false}) {
        std::vector<float> a = Random(dtype, elements, 5);
        const std::vector<float> b = Random(dtype, elements, 6);
        if (elements > 8) a[8] = std::nanf("");
        std::vector<float> expected(elements);
        const TensorShape shape{elements, 1, 1, 1};
        reference::Add({relu}, {a.data(), shape}, {b.data(), shape}, expected.data());
        Expect(Elementwise{dtype, dtype, elements, 1, false, true, relu},
               {.x = Encode(dtype, a), .residual = Encode(dtype, b)}, dtype, expected,
               [&](size_t, double y) { return Tolerance(dtype, y, 2, 2); });
      }
    }
  }
}

TEST_P(Operations, BatchNorm) {
  for (const DType dtype : kFloats) {
    for (const int channels : {1, 3, 8, 20, 64}) {
      for (const int64_t pixels : {1, 5, 49}) {
        for (const bool relu : {true, false}) {
          const int64_t elements = pixels * channels;
          const std::vector<float> x = Random(dtype, elements, 7);
          OperandData data{.x = Encode(dtype, x)};
          data.scale = Random(DType::kFloat32, channels, 8);
          data.shift = Random(DType::kFloat32, channels, 9);
          std::vector<float> expected(elements);
          for (int64_t i = 0; i < elements; ++i) {
            const double y = static_cast<double>(x[i]) * data.scale[i % channels] + data.shift[i % channels];
            expected[i] = static_cast<float>(relu && y < 0 ? 0 : y);
          }
          Expect(Elementwise{dtype, dtype, elements, channels, true, false, relu}, data, dtype, expected,
                 [&](size_t, double y) { return Tolerance(dtype, y, 2, 2); });
        }
      }
    }
  }
}

TEST_P(Operations, Relu) {
  for (const DType dtype : kFloats) {
    std::vector<float> x = Random(dtype, 7 * 13, 10);
    x[40] = std::nanf("");
    std::vector<float> expected(x.size());
    reference::Relu({x.data(), {1, 1, 7, 13}}, expected.data());
    ExpectExact(Elementwise{dtype, dtype, 7 * 13, 1, false, false, true}, {.x = Encode(dtype, x)}, dtype,
                expected);
  }
}

TEST_P(Operations, MaxPool) {
  const Window windows[] = {
      {3, 3, 2, 2, 1, 1, 1, 1}, {2, 2, 2, 2, 0, 0, 1, 1}, {3, 2, 1, 3, 1, 0, 2, 1}, {1, 1, 1, 1, 0, 0, 1, 1}};
  for (const DType dtype : kFloats) {
    for (const Window& window : windows) {
      for (const int channels : {1, 5, 16, 40, 64}) {
        const MaxPool op{dtype, 2, 9, 7, channels, window};
        const TensorShape in{2, 9, 7, channels};
        std::vector<float> x = Random(dtype, in.elements(), 11);
        x[in.elements() / 2] = std::nanf("");
        std::vector<float> expected(op.OutShape().elements());
        reference::MaxPool2d({window}, {x.data(), in}, op.OutShape(), expected.data());
        ExpectExact(op, {.x = Encode(dtype, x)}, dtype, expected);
      }
    }
  }
}

TEST_P(Operations, AveragePool) {
  for (const DType dtype : kFloats) {
    for (const int channels : {1, 7, 8, 48, 256, 520}) {
      for (const int64_t side : {1, 2, 7}) {
        const TensorShape in{3, side, side, channels};
        const std::vector<float> x = Random(dtype, in.elements(), 12);
        std::vector<float> expected(in.n * channels);
        reference::GlobalAvgPool({x.data(), in}, expected.data());
        Expect(AveragePool{dtype, in.n, side * side, channels}, {.x = Encode(dtype, x)}, dtype, expected,
               [&](size_t, double y) { return Tolerance(dtype, y, 1, side * side + 1); });
      }
    }
  }
}

TEST_P(Operations, ZeroPadShortcut) {
  for (const DType dtype : kFloats) {
    for (const int stride : {1, 2, 3}) {
      for (const auto& [channels, out_channels] : {std::pair{16, 32}, {3, 7}, {16, 20}, {8, 8}, {1, 64}}) {
        const TensorShape in{2, 7, 5, channels};
        const TensorShape out{2, (7 + stride - 1) / stride, (5 + stride - 1) / stride, out_channels};
        const std::vector<float> x = Random(dtype, in.elements(), 13);
        std::vector<float> expected(out.elements());
        reference::ZeroPadShortcut({stride, out_channels}, {x.data(), in}, out, expected.data());
        ExpectExact(ZeroPadShortcut{dtype, in.n, in.h, in.w, channels, out_channels, stride},
                    {.x = Encode(dtype, x)}, dtype, expected);
      }
    }
  }
}

TEST_P(Operations, ToNchw) {
  for (const DType from : kFloats) {
    for (const DType to : {from, DType::kFloat32}) {
      for (const auto& [h, w, channels] :
           {std::tuple{1, 1, 1000}, {7, 7, 33}, {1, 5, 1}, {8, 8, 64}, {33, 31, 3}, {5, 13, 70}}) {
        const TensorShape shape{2, h, w, channels};
        const std::vector<float> x = Random(from, shape.elements(), 14);
        std::vector<float> expected(x.size());
        reference::StoreOutput({x.data(), shape}, expected.data());
        ExpectExact(ToNchw{from, to, shape.n, int64_t{h} * w, channels}, {.x = Encode(from, x)}, to,
                    expected);
      }
    }
  }
}

// A convolution with everything it can be given, for any float type, and what each result may be off by.
struct ConvCase {
  Convolution op;
  OperandData data;
  std::vector<float> expected;
  std::vector<double> sums;  // of the magnitudes of all terms
};

ConvCase MakeConv(const Convolution& op) {
  ConvCase result{.op = op};
  const TensorShape in{op.n, op.h, op.w, op.in_channels}, out = op.OutShape();
  const int group_in = op.in_channels / op.groups, taps = op.window.kernel_h * op.window.kernel_w;
  const std::vector<float> x = Random(op.dtype, in.elements(), 16);
  const std::vector<float> filters = Random(op.dtype, int64_t{op.out_channels} * taps * group_in, 17);
  const std::vector<float> residual =
      op.residual ? Random(op.dtype, out.elements(), 18) : std::vector<float>{};
  OperandData& data = result.data;
  data.x = Encode(op.dtype, x);
  data.filters = Encode(op.dtype, filters);
  if (op.residual) data.residual = Encode(op.dtype, residual);
  data.shift = Random(DType::kFloat32, op.out_channels, 19);
  data.typed_shift = Encode(op.dtype, data.shift);
  data.shift = Decode(op.dtype, data.typed_shift);  // which of the two a library takes makes no difference

  // The reference has its filters in torch's order.
  std::vector<float> torch(filters.size());
  for (int k = 0; k < op.out_channels; ++k) {
    for (int tap = 0; tap < taps; ++tap) {
      for (int c = 0; c < group_in; ++c) {
        torch[(k * group_in + c) * taps + tap] = filters[(k * taps + tap) * group_in + c];
      }
    }
  }
  const auto conv = [&](bool magnitudes) {
    const auto of = [&](std::vector<float> values) {
      if (magnitudes) {
        for (float& value : values) value = std::abs(value);
      }
      return values;
    };
    Conv2dOp reference{.window = op.window,
                       .in_channels = op.in_channels,
                       .out_channels = op.out_channels,
                       .groups = op.groups};
    reference.filters.values = Weight::Own(of(torch));
    const std::vector<float> image = of(x);
    std::vector<float> y(out.elements());
    reference::Conv2d(reference, {image.data(), in}, nullptr, out, y.data());
    std::vector<double> sums(y.begin(), y.end());
    for (size_t i = 0; i < sums.size(); ++i) {
      const size_t k = i % op.out_channels;
      const auto sign = [&](double value) { return magnitudes ? std::abs(value) : value; };
      if (op.residual) sums[i] += sign(residual[i]);
      sums[i] += sign(data.shift[k]);
    }
    return sums;
  };
  result.sums = conv(true);
  for (double y : conv(false)) {
    if (op.relu && y < 0) y = 0;
    result.expected.push_back(static_cast<float>(y));
  }
  return result;
}

// A kernel of several passes rounds the convolution to its dtype before the residual is added; tf32 rounds
// both operands of each product.
double ConvBound(const ConvCase& conv, size_t i, double y) {
  const Convolution& op = conv.op;
  const int64_t terms = int64_t{op.in_channels} / op.groups * op.window.kernel_h * op.window.kernel_w;
  const double between = UnitRoundoff(op.dtype) * conv.sums[i];
  const double operands = op.dtype == DType::kTf32 ? 2 * UnitRoundoff(DType::kTf32) * conv.sums[i] : 0;
  return Tolerance(op.dtype, y, conv.sums[i], terms) + between + operands;
}

class Convolutions : public OperationTest {
 protected:
  void ExpectConv(const Convolution& op) {
    const ConvCase conv = MakeConv(op);
    Expect(op, conv.data, op.dtype, conv.expected, [&](size_t i, double y) { return ConvBound(conv, i, y); });
  }
};
RESNET_NATIVE_EACH_EXECUTOR(Convolutions);

const DType kConvTypes[] = {DType::kFloat32, DType::kTf32, DType::kFloat16, DType::kBfloat16};

TEST_P(Convolutions, EveryKindOfWindow) {
  for (const DType dtype : kConvTypes) {
    ExpectConv({dtype, 2, 9, 7, 16, 32, 1, Square(3, 1, 1)});
    ExpectConv({dtype, 1, 9, 7, 16, 16, 1, Square(3, 2, 1)});
    ExpectConv({dtype, 2, 5, 6, 32, 16, 1, Square(1, 1, 0)});
    ExpectConv({dtype, 2, 5, 6, 16, 48, 1, Square(1, 2, 0)});
    ExpectConv({dtype, 1, 17, 15, 8, 16, 1, Square(7, 2, 3)});
    ExpectConv({dtype, 1, 9, 9, 16, 16, 1, Square(3, 1, 2, 2)});
    ExpectConv({dtype, 1, 8, 9, 16, 16, 1, {3, 1, 1, 2, 0, 1, 1, 1}});
  }
}

TEST_P(Convolutions, ResidualAndRelu) {
  for (const DType dtype : kConvTypes) {
    for (const bool residual : {true, false}) {
      for (const bool relu : {true, false}) {
        ExpectConv({dtype, 2, 7, 5, 32, 64, 1, Square(1, 1, 0), residual, relu});
        ExpectConv({dtype, 1, 6, 7, 16, 32, 1, Square(3, 1, 1), residual, relu});
      }
    }
  }
}

// Also through a ReLU that a library fuses, whose own maximum may prefer a number. How far beyond what it
// feeds a NaN reaches is the algorithm's: only the images beside its own are out of its reach.
TEST_P(Convolutions, NaNGoesThroughRelu) {
  constexpr int64_t kN = 2, kH = 7, kW = 6, kAtH = 3, kAtW = 4;
  constexpr int kIn = 32, kOut = 64;
  for (const DType dtype : kConvTypes) {
    for (const int kernel : {1, 3}) {
      for (const bool in_residual : {false, true}) {
        const Convolution op{dtype,       kN,  kH, kW, kIn, kOut, 1, Square(kernel, 1, kernel / 2),
                             in_residual, true};
        SCOPED_TRACE(ToString(op));
        OperandData data = MakeConv(op).data;
        std::vector<uint8_t>& spoilt = in_residual ? data.residual : data.x;
        std::vector<float> values = Decode(dtype, spoilt);
        const int channels = in_residual ? kOut : kIn;
        values[(kAtH * kW + kAtW) * channels + 5] = std::nanf("");
        spoilt = Encode(dtype, values);
        data.y_bytes = op.OutShape().elements() * ElementSize(dtype);
        const int reach = in_residual ? 0 : kernel / 2;
        for (const Result& result : executor().Run(op, data)) {
          SCOPED_TRACE(result.candidate);
          const std::vector<float> y = Decode(dtype, result.y);
          for (int64_t h = kAtH - reach; h <= kAtH + reach; ++h) {
            for (int64_t w = kAtW - reach; w <= kAtW + reach; ++w) {
              for (int k = in_residual ? 5 : 0; k < (in_residual ? 6 : kOut); ++k) {
                ASSERT_TRUE(std::isnan(y[(h * kW + w) * kOut + k])) << h << ", " << w << ", " << k;
              }
            }
          }
          for (size_t i = kH * kW * kOut; i < y.size(); ++i) ASSERT_FALSE(std::isnan(y[i])) << i;
        }
      }
    }
  }
}

TEST_P(Convolutions, GroupsAndOddChannels) {
  for (const DType dtype : kConvTypes) {
    ExpectConv({dtype, 1, 6, 5, 32, 32, 4, Square(3, 1, 1), true, true});
    ExpectConv({dtype, 1, 6, 5, 64, 64, 2, Square(3, 2, 1), false, true});
    ExpectConv({dtype, 1, 5, 5, 8, 8, 8, Square(3, 1, 1)});
    ExpectConv({dtype, 1, 5, 4, 3, 7, 1, Square(3, 1, 1)});
    ExpectConv({dtype, 1, 5, 4, 7, 5, 1, Square(1, 1, 0), true, true});
    ExpectConv({dtype, 1, 4, 5, 20, 12, 2, Square(1, 1, 0), false, true});
    ExpectConv({dtype, 1, 1, 1, 1, 1, 1, Square(1, 1, 0), true, true});
  }
}

TEST_P(Operations, Linear) {
  for (const DType dtype : {DType::kFloat32, DType::kTf32, DType::kFloat16, DType::kBfloat16}) {
    for (const DType to : {dtype, DType::kFloat32}) {
      for (const auto& [rows, in, out] : {std::tuple{1, 64, 1000}, {3, 7, 5}, {5, 33, 10}, {8, 512, 24}}) {
        ConvCase conv = MakeConv({dtype, rows, 1, 1, in, out, 1, Square(1, 1, 0)});
        conv.op.dtype = dtype;
        Expect(Linear{dtype, to, rows, in, out}, conv.data, to, conv.expected,
               [&](size_t i, double y) { return ConvBound(conv, i, y); });
      }
    }
  }
}

}  // namespace
}  // namespace resnet_native::cuda::testing
