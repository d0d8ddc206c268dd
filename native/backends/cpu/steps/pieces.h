#pragma once

#include <algorithm>
#include <cstdint>

#include "native/backends/cpu/arithmetic.h"
#include "native/backends/cpu/thread_pool.h"

namespace resnet_native::cpu {

// Calls body(first, count, thread) for pieces of [0, total), of which each has `weight` elements: as many of
// them as are worth waking a thread for.
template <class Body>
void ForEachPiece(ThreadPool& pool, int64_t total, int64_t weight, const Body& body) {
  constexpr int64_t kElements = 1 << 14;
  const int64_t piece = std::max<int64_t>(kElements / weight, 1);
  pool.ParallelFor(CeilDiv(total, piece), [&](int64_t i, int thread) {
    body(i * piece, std::min(piece, total - i * piece), thread);
  });
}

}  // namespace resnet_native::cpu
