#pragma once

#include "native/backends/cpu/steps/step.h"

namespace resnet_native::cpu {

// A convolution of which one thread can compute a few rows by itself.
class BandStep : public Step {
 public:
  // Rows [first, first + rows) of the result for image n.
  struct Band {
    int64_t n, first, rows;

    // Number `index` of a batch whose images are cut in `per_image` of nearly equal height.
    static Band At(int64_t index, int64_t per_image, int64_t height) {
      const int64_t i = index % per_image, first = height * i / per_image;
      return {index / per_image, first, height * (i + 1) / per_image - first};
    }
    // Counted through the batch.
    int64_t FirstPixel(const TensorShape& y) const { return (n * y.h + first) * y.w; }
    int64_t end() const { return first + rows; }
  };

  // `y` and `residual` of the run have the shape of the whole result, but begin where the band does.
  virtual void RunBand(const StepRun& run, const Band& band, char* scratch) const = 0;
  // What RunBand needs at `scratch`, which begins with a cache line, for a band of so many rows.
  virtual size_t BandBytes(const TensorShape& x, int64_t rows) const = 0;
};

}  // namespace resnet_native::cpu
