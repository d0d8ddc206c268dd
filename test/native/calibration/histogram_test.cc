#include "native/calibration/histogram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace resnet_native {
namespace {

constexpr auto kMinMax = CalibrationMethod::kMinMax;
constexpr auto kPercentile = CalibrationMethod::kPercentile;
constexpr auto kMse = CalibrationMethod::kMse;

std::vector<float> Normal(size_t size, float deviation, uint32_t seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

void Add(Histogram& histogram, const std::vector<float>& values) {
  EXPECT_TRUE(histogram.Add(values.data(), static_cast<int64_t>(values.size())));
}

// What rounding to `levels` steps and cutting off at `range` does to values, squared and summed.
double ErrorOf(const std::vector<float>& values, double range, int levels) {
  double error = 0;
  for (const float value : values) {
    const double step = range / levels;
    const double rounded =
        std::min(std::nearbyint(std::abs(value) / step), static_cast<double>(levels)) * step;
    error += (std::abs(value) - rounded) * (std::abs(value) - rounded);
  }
  return error;
}

TEST(Histogram, MinMaxIsTheLargestMagnitude) {
  Histogram histogram;
  Add(histogram, {1, -3.7f, 2});
  EXPECT_EQ(histogram.Range(kMinMax, 0, 127), 3.7f);
  Add(histogram, {0.5f});
  EXPECT_EQ(histogram.Range(kMinMax, 0, 127), 3.7f);
}

TEST(Histogram, NothingButZerosHasNoRange) {
  Histogram histogram;
  Add(histogram, {0, -0.0f, 0});
  for (const auto method : {kMinMax, kPercentile, kMse}) EXPECT_EQ(histogram.Range(method, 99, 255), 0);
}

TEST(Histogram, RefusesWhatIsNoNumber) {
  for (const float wrong :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Histogram histogram;
    const float values[] = {1, wrong, 2};
    EXPECT_FALSE(histogram.Add(values, 3));
    Add(histogram, {5});
    EXPECT_EQ(histogram.Range(kMinMax, 0, 127), 5);
  }
}

// A bin is at most a thousandth of the largest magnitude, and so is the error of a percentile.
TEST(Histogram, PercentileLeavesTheLargestOut) {
  std::vector<float> values;
  for (int i = 1; i <= 1000; ++i) values.push_back(static_cast<float>(i));
  Histogram histogram;
  Add(histogram, values);
  EXPECT_NEAR(histogram.Range(kPercentile, 90, 255), 900, 1.1);
  EXPECT_NEAR(histogram.Range(kPercentile, 50, 255), 500, 1.1);
  EXPECT_EQ(histogram.Range(kPercentile, 100, 255), 1000);
}

TEST(Histogram, OrderAndPartsChangeNothing) {
  const std::vector<float> small = Normal(5000, 0.01f), middle = Normal(5000, 1), large = Normal(100, 300);
  Histogram forward, backward;
  for (const auto& values : {small, middle, large}) Add(forward, values);
  for (const auto& values : {large, middle, small}) Add(backward, values);
  for (const auto method : {kMinMax, kPercentile, kMse}) {
    EXPECT_EQ(forward.Range(method, 99.5, 127), backward.Range(method, 99.5, 127));
  }
}

// The search sees bins, not values: what it finds is within a few per cent of the best of all ranges.
TEST(Histogram, MseFindsNearlyTheLeastError) {
  for (const int levels : {127, 255}) {
    for (const float outlier : {0.0f, 30.0f}) {
      std::vector<float> values = Normal(20000, 1);
      values.push_back(outlier);
      Histogram histogram;
      Add(histogram, values);
      const double found = ErrorOf(values, histogram.Range(kMse, 0, levels), levels);
      double least = std::numeric_limits<double>::infinity();
      for (double range = 1; range < 31; range *= 1.005)
        least = std::min(least, ErrorOf(values, range, levels));
      EXPECT_LT(found, 1.1 * least) << levels << " levels, outlier " << outlier;
    }
  }
}

}  // namespace
}  // namespace resnet_native
