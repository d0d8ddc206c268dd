#pragma once

#include <cstdint>
#include <vector>

namespace resnet_native::cuda {

// The batch sizes that programs are made for: a run takes the smallest that holds it, and computes the rest
// in vain. 1, 2, 4, 8, 16, then also the sizes halfway between powers of two, where a GPU is full and waste
// costs; and the largest itself. Ascending.
inline std::vector<int64_t> BatchBuckets(int64_t max_batch) {
  std::vector<int64_t> buckets;
  for (int64_t power = 1; power < max_batch; power *= 2) {
    buckets.push_back(power);
    if (power >= 16 && power / 2 * 3 < max_batch) buckets.push_back(power / 2 * 3);
  }
  buckets.push_back(max_batch);
  return buckets;
}

// The buckets that compiling prepares and whose kernels are timed: the smallest, the largest, and powers of
// eight between. Others take the kernels of the next larger of these, and are prepared by the first run that
// needs them.
inline std::vector<int64_t> TunedBuckets(int64_t max_batch) {
  std::vector<int64_t> buckets;
  for (int64_t power = 1; power < max_batch; power *= 8) buckets.push_back(power);
  buckets.push_back(max_batch);
  return buckets;
}

// A batch larger than the largest is its own bucket.
inline int64_t BucketOf(int64_t n, int64_t max_batch) {
  for (const int64_t bucket : BatchBuckets(max_batch)) {
    if (n <= bucket) return bucket;
  }
  return n;
}

}  // namespace resnet_native::cuda
