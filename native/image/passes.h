#pragma once

#include <cstddef>
#include <cstdint>

#include "native/image/filter.h"

namespace resnet_native {

// The two passes of a resize over RGB bytes, for one instruction set. All give the same bytes: sums are exact
// integers. They cannot overflow int32, however many weights there are: no weight is more than twice its
// exact value (less than a half rounds to zero), so weights sum to at most 2^23, and 2^23 * 255 + 2^21 <
// 2^31.
struct Passes {
  // Rows of input pixels to filter.first.size() output pixels each: `count` of them, fastest in kRowsAtOnce.
  // Up to kRowSlack bytes after the pixels that the filter names are read, and after the output written.
  void (*horizontal)(const Filter& filter, const uint8_t* const* rows, int64_t count, uint8_t* const* outs);

  // Bytes [begin, end) of `out` from the same bytes of `count` rows, one weight a row. Reads and writes no
  // others.
  void (*vertical)(const int32_t* weights, const uint8_t* const* rows, int32_t count, size_t begin,
                   size_t end, uint8_t* out);
};
constexpr size_t kRowSlack = 16;
// Kernels prepare the weights of an output once for so many rows.
constexpr int64_t kRowsAtOnce = 4;

const Passes& PortablePasses();

// Null where the processor (or the build's target) has no AVX2.
const Passes* Avx2Passes();

// The fastest that this processor runs.
const Passes& BestPasses();

}  // namespace resnet_native
