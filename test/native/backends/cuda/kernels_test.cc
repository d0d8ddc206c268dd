// What the kernels of ours are made of, and those that are no operation of device.h, on the host.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "native/backends/cuda/gpu/kernels/bodies.h"
#include "native/image/filter.h"
#include "native/image/resize.h"
#include "test/native/support/run_on_host.h"

namespace resnet_native::cuda::testing {
namespace {

TEST(Divisor, DividesLikeDivision) {
  std::mt19937 random(1);
  std::vector<uint32_t> divisors = {1,  2,  3,   5,      7,      9,          49,
                                    56, 64, 641, 65'535, 65'536, 0x7ffffffe, 0x7fffffff};
  for (int i = 0; i < 200; ++i) divisors.push_back(random() >> (1 + random() % 30) | 1);
  for (const uint32_t d : divisors) {
    const Divisor divisor(d);
    std::vector<uint32_t> numbers = {0, 1, 0x7ffffffe, 0x7fffffff};
    for (const uint64_t near : {uint64_t{d}, uint64_t{d} * 2, uint64_t{d} * 12'345}) {
      for (const uint64_t n : {near - 1, near, near + 1}) numbers.push_back(n & 0x7fffffff);
    }
    for (int i = 0; i < 100; ++i) numbers.push_back(random() & 0x7fffffff);
    for (const uint32_t n : numbers) {
      uint32_t quotient = n;
      ASSERT_EQ(divisor.Split(quotient), n % d) << n << " by " << d;
      ASSERT_EQ(quotient, n / d) << n << " by " << d;
    }
  }
}

TEST(Numeric, HalfHoldsEveryHalf) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = ToFloat(Half{static_cast<uint16_t>(bits)});
    if (std::isnan(value)) continue;
    ASSERT_EQ(FromFloat<Half>(value).bits, bits);
  }
}

TEST(Numeric, HalfRoundsToTheNearestEven) {
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {  // between each half and the next
    const double low = ToFloat(Half{static_cast<uint16_t>(bits)});
    const double high = ToFloat(Half{static_cast<uint16_t>(bits + 1)});
    const auto middle = static_cast<float>((low + high) / 2);
    ASSERT_EQ(FromFloat<Half>(middle).bits, bits + (bits & 1)) << middle;
    ASSERT_EQ(FromFloat<Half>(std::nextafter(middle, 0.0f)).bits, bits);
    ASSERT_EQ(FromFloat<Half>(std::nextafter(middle, INFINITY)).bits, bits + 1);
  }
  EXPECT_EQ(FromFloat<Half>(65519.0f).bits, 0x7bff);
  EXPECT_EQ(FromFloat<Half>(65520.0f).bits, 0x7c00);
  EXPECT_EQ(FromFloat<Half>(-1e9f).bits, 0xfc00);
  EXPECT_TRUE(std::isnan(ToFloat(FromFloat<Half>(NAN))));
}

TEST(Numeric, BFloat16RoundsToTheNearestEven) {
  for (uint32_t bits = 0; bits < 0x7f7f; ++bits) {
    const uint32_t middle = (bits << 16) + 0x8000;
    ASSERT_EQ(FromFloat<BFloat16>(host::FloatOf(bits << 16)).bits, bits);
    ASSERT_EQ(FromFloat<BFloat16>(host::FloatOf(middle)).bits, bits + (bits & 1));
    ASSERT_EQ(FromFloat<BFloat16>(host::FloatOf(middle - 1)).bits, bits);
    ASSERT_EQ(FromFloat<BFloat16>(host::FloatOf(middle + 1)).bits, bits + 1);
  }
  EXPECT_TRUE(std::isnan(ToFloat(FromFloat<BFloat16>(NAN))));
}

TEST(Numeric, IntegersSaturate) {
  EXPECT_EQ(FromFloat<int8_t>(127.5f), 127);
  EXPECT_EQ(FromFloat<int8_t>(-1000.0f), -128);
  EXPECT_EQ(FromFloat<int8_t>(2.5f), 2);
  EXPECT_EQ(FromFloat<int8_t>(-3.5f), -4);
  EXPECT_EQ(FromFloat<int8_t>(NAN), 0);
  EXPECT_EQ(Value(FromFloat<Byte>(1000.0f)), 255);
  EXPECT_EQ(Value(FromFloat<Byte>(-0.6f)), 0);
  EXPECT_EQ(Value(FromFloat<Byte>(2.5f)), 2);
  EXPECT_EQ(Value(FromFloat<Byte>(254.5f)), 254);
  EXPECT_EQ(Value(FromFloat<Byte>(NAN)), 0);
}

TEST(AddBorder, SurroundsEachImage) {
  for (const int channels : {1, 3, 16, 32}) {
    const Convolution op{DType::kInt8, 2, 4, 3, channels, 8, 1, {3, 5, 1, 1, 1, 2, 1, 1}};
    std::vector<int8_t> x(2 * 4 * 3 * channels), y(2 * 6 * 7 * channels, 77);
    std::iota(x.begin(), x.end(), int8_t{-100});
    WithBorder(op, x.data(), y.data(), [](const auto& body) { RunOnHost(body); });
    for (size_t i = 0; i < y.size(); ++i) {
      const int c = i % channels, w = i / channels % 7 - 2, h = i / channels / 7 % 6 - 1,
                n = i / channels / 42;
      const bool inside = h >= 0 && h < 4 && w >= 0 && w < 3;
      ASSERT_EQ(y[i], inside ? x[((n * 4 + h) * 3 + w) * channels + c] : -kStoredZero) << i;
    }
  }
}

// One axis of a picture of `outer` × in × `inner` bytes.
std::vector<uint8_t> Resampled(const std::vector<uint8_t>& x, int64_t outer, int64_t in, int64_t out,
                               int64_t inner) {
  const Filter filter = BilinearFilter(in, out, 0, out);
  std::vector<int32_t> filters = filter.first;
  filters.insert(filters.end(), filter.count.begin(), filter.count.end());
  filters.insert(filters.end(), filter.weights.begin(), filter.weights.end());
  std::vector<uint8_t> y(outer * out * inner);
  const Operands operands{.x = x.data(), .y = y.data(), .filters = filters.data()};
  WithBody(cuda::Resample{outer, in, out, inner, filter.stride}, operands,
           [](const auto& body) { RunOnHost(body); });
  return y;
}

TEST(ResampleBytes, TwoPassesAreTheResizeOfTheHost) {
  struct Case {
    int64_t h, w, to_h, to_w;
  };
  std::mt19937 random(2);
  for (const Case& c :
       {Case{1, 1, 5, 7}, {17, 23, 9, 11}, {40, 30, 40, 15}, {31, 64, 62, 20}, {9, 100, 8, 3}}) {
    std::vector<uint8_t> picture(c.h * c.w * 3);
    for (uint8_t& byte : picture) byte = static_cast<uint8_t>(random());
    std::vector<uint8_t> expected(c.to_h * c.to_w * 3);
    ResizeCrop(picture, c.h, c.w, {c.to_h, c.to_w, 0, 0, c.to_h, c.to_w}, expected);
    const std::vector<uint8_t> across = Resampled(picture, c.h, c.w, c.to_w, 3);
    EXPECT_EQ(Resampled(across, 1, c.h, c.to_h, c.to_w * 3), expected) << c.h << " x " << c.w;
  }
}

}  // namespace
}  // namespace resnet_native::cuda::testing
