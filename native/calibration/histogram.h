#pragma once

#include <cstdint>
#include <vector>

namespace resnet_native {

// How a scale is found from the magnitudes that were seen.
enum class CalibrationMethod {
  kMinMax,      // the largest: nothing is cut off
  kPercentile,  // all but the largest few
  kMse,         // the one with the least squared error of rounding and cutting off together
};

// Counts magnitudes of float32 values in bins of equal width. The bins widen as larger values come, by powers
// of two, so that one pass over the images is enough and their order changes nothing.
class Histogram {
 public:
  // False, and nothing is counted, if a value is NaN or infinite.
  bool Add(const float* values, int64_t count);

  // The largest magnitude that should be represented; 0 if there was none but 0. `levels` is what it becomes
  // in int8: 255, or 127 for values of both signs. `percentile` is that of its method.
  double Range(CalibrationMethod method, double percentile, int levels) const;

 private:
  double WidthOfBins() const;
  double Percentile(double percentile) const;
  double LeastError(int levels) const;
  void Widen(float largest);

  std::vector<uint64_t> bins_;
  uint64_t total_ = 0;
  float largest_ = 0;
  float limit_ = 0;  // magnitudes below it have a bin; a power of two
};

}  // namespace resnet_native
