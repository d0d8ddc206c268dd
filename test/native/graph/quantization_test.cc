#include "native/graph/quantization.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "native/error.h"

namespace resnet_native {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(QuantizeFilters, MakesTheLargestOfEachChannel127) {
  const Int8Filters q = QuantizeFilters({Weight::Own({1, -2, 0.5, 0, 0, 0, 3, 100, -0.4f}), {}}, 3, "conv1");
  EXPECT_EQ(q.values, (std::vector<int8_t>{64, -127, 32, 0, 0, 0, 4, 127, -1}));
  EXPECT_EQ(q.scale, (std::vector<float>{2 / 127.0f, 1, 100 / 127.0f}));
}

TEST(QuantizeFilters, RoundsHalfToEven) {
  const Int8Filters q = QuantizeFilters({Weight::Own({127, 2.5, 3.5, -0.5, -1.5}), {}}, 1, "conv1");
  EXPECT_EQ(q.values, (std::vector<int8_t>{127, 2, 4, 0, -2}));
}

// A file's int8 weights stay what they are, whatever batch norm is folded into their scale.
TEST(QuantizeFilters, KeepsIntegersUnderAnyScale) {
  std::vector<float> integers;
  for (int i = -127; i <= 127; ++i) integers.push_back(static_cast<float>(i));
  for (const double scale : {1.0, 0.0123, -3.7e-5, 1.9e11}) {
    const Int8Filters q = QuantizeFilters({Weight::Own(integers), {scale}}, 1, "conv1");
    for (size_t i = 0; i < integers.size(); ++i) {
      EXPECT_EQ(q.values[i], static_cast<int>(scale < 0 ? -integers[i] : integers[i])) << scale;
    }
    EXPECT_FLOAT_EQ(q.scale[0], static_cast<float>(std::abs(scale)));
  }
}

TEST(QuantizeFilters, RefusesWhatIsNoNumber) {
  for (const float wrong : {kNaN, kInfinity, -kInfinity}) {
    try {
      QuantizeFilters({Weight::Own({1, 2, wrong, 4}), {}}, 2, "layer1.0.conv1");
      ADD_FAILURE() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_EQ(
          std::string(error.what()),
          "node \"layer1.0.conv1\": the weights of its channel 1 hold NaN or infinity, which int8 has not");
    }
  }
}

// The sum of bytes as they are, with zero points in them, gives what the same sum in real numbers gives.
TEST(Requantize, TakesZeroPointsOutOfSums) {
  const Int8Filters filters{{3, -5, 100, 7}, {0.5f, 0.25f}};
  const Quantization x{0.1f, 128}, residual{0.2f, 128}, y{0.5f, 128};
  const uint8_t pixels[] = {140, 90};
  const uint8_t added = 150;
  const Weight bias = Weight::Own({1.5f, -2.0f});
  const Requantization floats = RequantizeProducts(filters, bias, x, residual, {});
  const Requantization bytes = RequantizeProducts(filters, bias, x, residual, y);
  for (size_t o = 0; o < 2; ++o) {
    int32_t sum = 0;
    double exact = bias[o] + (added - 128) * 0.2;
    for (size_t i = 0; i < 2; ++i) {
      sum += pixels[i] * filters.values[o * 2 + i];
      exact += (pixels[i] - 128) * 0.1 * filters.values[o * 2 + i] * filters.scale[o];
    }
    EXPECT_NEAR(Requantize(sum, o, floats, &added), exact, 1e-5);
    EXPECT_EQ(Requantize(sum, o, bytes, &added), std::clamp(std::nearbyint(exact / 0.5) + 128, 0.0, 255.0));
  }
}

TEST(Requantize, ClampsAndRoundsHalfToEven) {
  Requantization to{{0.5f}, {0}, 0, true, false};
  EXPECT_EQ(Requantize(1, 0, to, nullptr), 0);
  EXPECT_EQ(Requantize(3, 0, to, nullptr), 2);
  EXPECT_EQ(Requantize(5, 0, to, nullptr), 2);
  EXPECT_EQ(Requantize(-7, 0, to, nullptr), 0);
  EXPECT_EQ(Requantize(1 << 30, 0, to, nullptr), 255);
  to.to_bytes = false;
  EXPECT_EQ(Requantize(-7, 0, to, nullptr), -3.5f);
  to.relu = true;
  EXPECT_EQ(Requantize(-7, 0, to, nullptr), 0);
}

TEST(Requantize, OfMeansAndSums) {
  const Quantization a{0.5f, 0}, b{0.25f, 128};
  const uint8_t other = 100;
  EXPECT_EQ(Requantize(20, 0, RequantizeSum(a, b, {}), &other), 20 * 0.5 + (100 - 128) * 0.25);
  EXPECT_EQ(Requantize(20 * 49, 0, RequantizeMean(a, 49, {}), nullptr), 10);
  EXPECT_EQ(Requantize(100 * 49, 0, RequantizeMean(b, 49, Quantization{0.5f, 128}), nullptr), 114);
}

TEST(QuantizeValue, ClampsRoundsAndTakesNaNAsTheLowest) {
  const Quantization plain{0.5f, 0}, centred{0.5f, 128};
  EXPECT_EQ(QuantizeValue(1.25f, plain), 2);
  EXPECT_EQ(QuantizeValue(-1, plain), 0);
  EXPECT_EQ(QuantizeValue(-1, centred), 126);
  EXPECT_EQ(QuantizeValue(1e30f, centred), 255);
  EXPECT_EQ(QuantizeValue(-kInfinity, centred), 0);
  EXPECT_EQ(QuantizeValue(kNaN, centred), 0);
  EXPECT_EQ(DequantizeValue(126, centred), -1);
}

TEST(QuantizedPixels, AreThoseOfNormalisedPixels) {
  const ChannelAffine affine{{0.02f, 0.01f}, {-2, -1}};
  const Quantization to{0.025f, 128};
  const auto table = QuantizedPixels(2, affine, to);
  ASSERT_EQ(table.size(), 2u);
  EXPECT_EQ(table[0][100], 128);
  EXPECT_EQ(table[1][200], 128 + 40);
  EXPECT_EQ(table[0][0], 128 - 80);
  EXPECT_EQ(QuantizedPixels(1, {}, {1, 0})[0][77], 77);
}

}  // namespace
}  // namespace resnet_native
