#include "native/calibration/histogram.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace resnet_native {
namespace {

// After a widening half of them are in use: at least 8 bins for each of the 127 levels of int8.
constexpr size_t kBins = 2048;
// Most values of a ReLU are 0; counters of their own keep increments of one bin from waiting for each other.
constexpr size_t kLanes = 4;
// Ranges that LeastError tries, from this share of the largest magnitude up.
constexpr int kCandidates = 160;
constexpr double kSmallestCandidate = 0.2;

}  // namespace

bool Histogram::Add(const float* values, int64_t count) {
  float largest = 0;
  bool finite = true;
  for (int64_t i = 0; i < count; ++i) {
    const float magnitude = std::abs(values[i]);
    finite &= std::isfinite(magnitude);
    largest = std::max(largest, magnitude);
  }
  if (!finite) return false;
  if (bins_.empty()) bins_.resize(kBins);
  Widen(largest);
  largest_ = std::max(largest_, largest);
  total_ += static_cast<uint64_t>(count);

  const auto to_bin = static_cast<float>(1 / WidthOfBins());
  std::array<std::array<uint32_t, kBins>, kLanes> counts{};
  constexpr int64_t kBlock = int64_t{1} << 30;  // what a counter can hold
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t end = std::min(count, begin + kBlock);
    for (int64_t i = begin; i < end; ++i) {
      const auto bin = static_cast<size_t>(std::abs(values[i]) * to_bin);
      ++counts[i % kLanes][std::min(bin, kBins - 1)];
    }
    for (auto& lane : counts) {
      for (size_t bin = 0; bin < kBins; ++bin) bins_[bin] += lane[bin];
      lane.fill(0);
    }
  }
  return true;
}

double Histogram::WidthOfBins() const { return limit_ > 0 ? static_cast<double>(limit_) / kBins : 1; }

void Histogram::Widen(float largest) {
  if (largest == 0 || largest < limit_) return;
  const float wanted = std::exp2(static_cast<float>(std::ilogb(largest) + 1));
  if (limit_ == 0) {
    limit_ = wanted;  // only zeros so far, and they stay in the first bin
    return;
  }
  // Bins that become one are neighbours, because both limits are powers of two.
  const int shift = std::ilogb(wanted) - std::ilogb(limit_);
  std::vector<uint64_t> widened(kBins);
  for (size_t bin = 0; bin < kBins; ++bin) widened[shift < 64 ? bin >> shift : 0] += bins_[bin];
  bins_ = std::move(widened);
  limit_ = wanted;
}

double Histogram::Range(CalibrationMethod method, double percentile, int levels) const {
  if (largest_ == 0) return 0;
  if (method == CalibrationMethod::kPercentile) return Percentile(percentile);
  if (method == CalibrationMethod::kMse) return LeastError(levels);
  return largest_;
}

double Histogram::Percentile(double percentile) const {
  const double wanted = percentile / 100 * static_cast<double>(total_);
  double below = 0;
  for (size_t bin = 0; bin < kBins; ++bin) {
    below += static_cast<double>(bins_[bin]);
    if (below >= wanted) return std::min<double>(largest_, WidthOfBins() * static_cast<double>(bin + 1));
  }
  return largest_;
}

double Histogram::LeastError(int levels) const {
  double best_range = largest_, least = INFINITY;
  for (int i = 0; i <= kCandidates; ++i) {
    // The largest first: it wins where nothing is better.
    const double share = 1 - (1 - kSmallestCandidate) * i / kCandidates;
    const double range = largest_ * share, step = range / levels;
    double error = 0;
    for (size_t bin = 1; bin < kBins; ++bin) {
      if (bins_[bin] == 0) continue;
      const double value = std::min<double>(largest_, WidthOfBins() * (static_cast<double>(bin) + 0.5));
      const double rounded = std::min(std::nearbyint(value / step), static_cast<double>(levels)) * step;
      // Inside a bin that is wider than a step, values fall anywhere between two levels.
      const double spread = std::min(step, WidthOfBins());
      const double inside = value < range ? spread * spread / 12 : 0;
      error += static_cast<double>(bins_[bin]) * ((value - rounded) * (value - rounded) + inside);
    }
    if (error < least) {
      least = error;
      best_range = range;
    }
  }
  return best_range;
}

}  // namespace resnet_native
