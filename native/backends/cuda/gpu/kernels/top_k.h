#pragma once

#include "native/backends/cuda/gpu/kernels/grid.h"

namespace resnet_native::cuda {

// The classes of the k largest logits of each row, largest first, equal ones in the order of their indices,
// with their softmax. NaN counts as larger than every number, and makes all probabilities of its row NaN, as
// in torch. A block works on one row: first the softmax's sum, then one class after the other, each the best
// behind the one before.
struct TopClasses {
  static constexpr int kThreads = 256;
  struct Best {
    float value;
    int index;
  };
  struct Shared {
    float parts[kThreads];
    Best best[kThreads];
    float largest, sum;
  };

  const float* logits;
  int* classes;          // [rows][k]
  float* probabilities;  // [rows][k]
  int columns, k;        // k is at most `columns`
  uint32_t blocks;       // rows

  // Of the largest, its reduction, the sum, its reduction, and two for each class.
  HOST_DEVICE int phases() const { return 4 + 2 * k; }

  HOST_DEVICE void operator()(int phase, uint32_t block, int thread, Shared& shared) const {
    const float* row = logits + int64_t{block} * columns;
    if (phase == 0) {
      shared.parts[thread] = LargestOf(row, thread);
    } else if (phase == 1) {
      if (thread == 0) shared.largest = Largest(shared.parts, kThreads);
    } else if (phase == 2) {
      shared.parts[thread] = SumOf(row, thread, shared.largest);
    } else if (phase == 3) {
      if (thread == 0) shared.sum = Sum(shared.parts);
    } else if (phase % 2 == 0) {
      shared.best[thread] = BestBehind(row, thread, PreviousOf(row, block, (phase - 4) / 2));
    } else if (thread == 0) {
      Choose(block, (phase - 5) / 2, shared);
    }
  }

 private:
  HOST_DEVICE static bool Above(float a, float b) { return a > b || (a != a && b == b); }
  // Whether a comes before b in the order of the result.
  HOST_DEVICE static bool Before(const Best& a, const Best& b) {
    if (Above(a.value, b.value)) return true;
    return !Above(b.value, a.value) && a.index < b.index;
  }

  HOST_DEVICE float LargestOf(const float* row, int thread) const {
    float largest = -INFINITY;
    for (int i = thread; i < columns; i += kThreads) largest = fmaxf(largest, row[i]);
    return largest;
  }
  HOST_DEVICE static float Largest(const float* parts, int count) {
    float largest = parts[0];
    for (int i = 1; i < count; ++i) largest = fmaxf(largest, parts[i]);
    return largest;
  }
  HOST_DEVICE float SumOf(const float* row, int thread, float largest) const {
    float sum = 0;
    for (int i = thread; i < columns; i += kThreads) sum += expf(row[i] - largest);
    return sum;
  }
  HOST_DEVICE static float Sum(const float* parts) {
    float sum = 0;
    for (int i = 0; i < kThreads; ++i) sum += parts[i];
    return sum;
  }

  // The class chosen last; before the first, one that all come behind.
  HOST_DEVICE Best PreviousOf(const float* row, uint32_t block, int rank) const {
    if (rank == 0) return {NAN, -1};
    const int index = classes[int64_t{block} * k + rank - 1];
    return {row[index], index};
  }
  // An index of `columns` says that this thread has none left.
  HOST_DEVICE Best BestBehind(const float* row, int thread, const Best& previous) const {
    Best best = {-INFINITY, columns};
    for (int i = thread; i < columns; i += kThreads) {
      const Best candidate = {row[i], i};
      if (Before(previous, candidate) && Before(candidate, best)) best = candidate;
    }
    return best;
  }
  HOST_DEVICE void Choose(uint32_t block, int rank, const Shared& shared) const {
    Best best = shared.best[0];
    for (int i = 1; i < kThreads; ++i) {
      if (Before(shared.best[i], best)) best = shared.best[i];
    }
    classes[int64_t{block} * k + rank] = best.index;
    probabilities[int64_t{block} * k + rank] = expf(best.value - shared.largest) / shared.sum;
  }
};

}  // namespace resnet_native::cuda
