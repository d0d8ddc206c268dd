#pragma once

#include <cstdint>

namespace resnet_native::cpu {

// What kernels may need of a machine. Each is tested by itself: a newer set of instructions does not have to
// contain an older one.
enum Feature : uint32_t {
  kNeon = 1 << 0,
  kNeonDotProduct = 1 << 1,
  kNeonI8mm = 1 << 2,
  kNeonBf16 = 1 << 3,
  kAvx2Fma = 1 << 4,
  kAvxVnni = 1 << 5,
  kAvx512 = 1 << 6,  // F, BW, DQ and VL
  kAvx512Bf16 = 1 << 7,
  kAvx512Vnni = 1 << 8,
  kAmxBf16 = 1 << 9,
  kAmxInt8 = 1 << 10,
};
using Features = uint32_t;  // a union of them

// The rows of kernels by the name that people know, in order of preference: a later one is taken where the
// machine has it. Each name stands for the features that its kernels may use.
enum class Isa { kScalar, kNeon, kAvx2, kAvx512, kAmx };

// "scalar", "neon", "avx2", "avx512", "amx".
const char* IsaName(Isa isa);

// What the CPU and the operating system can run. The first call asks Linux for permission to use AMX tiles,
// which a process needs once.
Features MachineFeatures();

// What the machine has of that which kernels of this name, or of one that comes before it on the same
// architecture, may use.
Features FeaturesFor(Isa isa);

// Whether the machine has what the name stands for at least.
bool HasIsa(Isa isa);

// The best one, or the one that the environment variable RESNET_NATIVE_ISA names. Throws kInvalidArgument if
// it names none, kDeviceUnavailable if this machine lacks it.
Isa SelectIsa();

}  // namespace resnet_native::cpu
