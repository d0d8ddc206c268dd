#include "native/image/passes.h"

#include <algorithm>

namespace resnet_native {
namespace {

constexpr int32_t kHalf = 1 << (kWeightBits - 1);

uint8_t ToByte(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255)); }

void OneRow(const Filter& filter, const uint8_t* row, uint8_t* out) {
  for (size_t i = 0; i < filter.first.size(); ++i, out += 3) {
    const uint8_t* pixel = row + int64_t{3} * filter.first[i];
    const int32_t* weights = &filter.weights[i * filter.stride];
    int32_t red = kHalf, green = kHalf, blue = kHalf;
    for (int32_t k = 0; k < filter.count[i]; ++k, pixel += 3) {
      red += weights[k] * pixel[0];
      green += weights[k] * pixel[1];
      blue += weights[k] * pixel[2];
    }
    out[0] = ToByte(red);
    out[1] = ToByte(green);
    out[2] = ToByte(blue);
  }
}

void Horizontal(const Filter& filter, const uint8_t* const* rows, int64_t count, uint8_t* const* outs) {
  for (int64_t row = 0; row < count; ++row) OneRow(filter, rows[row], outs[row]);
}

void Vertical(const int32_t* weights, const uint8_t* const* rows, int32_t count, size_t begin, size_t end,
              uint8_t* out) {
  // Sums of a few columns at a time stay in registers or the nearest cache while the rows go by.
  constexpr size_t kColumns = 64;
  for (size_t x = begin; x < end; x += kColumns) {
    const size_t columns = std::min(kColumns, end - x);
    int32_t sums[kColumns];
    std::fill_n(sums, kColumns, kHalf);
    for (int32_t k = 0; k < count; ++k) {
      const uint8_t* row = rows[k] + x;
      for (size_t i = 0; i < columns; ++i) sums[i] += weights[k] * row[i];
    }
    for (size_t i = 0; i < columns; ++i) out[x + i] = ToByte(sums[i]);
  }
}

}  // namespace

const Passes& PortablePasses() {
  static constexpr Passes kPasses{Horizontal, Vertical};
  return kPasses;
}

const Passes& BestPasses() {
  static const Passes& best = Avx2Passes() ? *Avx2Passes() : PortablePasses();
  return best;
}

}  // namespace resnet_native
