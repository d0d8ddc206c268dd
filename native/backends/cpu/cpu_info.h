#pragma once

#include <cstddef>
#include <string>

namespace resnet_native::cpu {

// Bytes of data cache that one core can count on; typical sizes where the system does not tell.
struct CacheSizes {
  size_t l1 = 32 << 10;
  size_t l2 = 512 << 10;
};
const CacheSizes& Caches();

// CPUs that this process may use: the smallest of its affinity mask and its cgroups' quotas (rounded up). At
// least 1.
int AvailableParallelism();

// As the maker calls it.
std::string CpuName();

}  // namespace resnet_native::cpu
