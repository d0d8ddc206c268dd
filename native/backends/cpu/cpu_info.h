#pragma once

#include <cstddef>
#include <string>

namespace resnet_native::cpu {

// In order of preference: a later one is taken where the machine has it.
enum class Isa { kScalar, kNeon, kAvx2, kAvx512 };

// "scalar", "neon", "avx2", "avx512".
const char* IsaName(Isa isa);

// What the CPU and the operating system can run.
bool HasIsa(Isa isa);

// The best one, or the one that the environment variable RESNET_NATIVE_ISA names. Throws kInvalidArgument if
// it names none, kDeviceUnavailable if this machine lacks it.
Isa SelectIsa();

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
