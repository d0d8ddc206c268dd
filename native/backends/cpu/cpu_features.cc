#include "native/backends/cpu/cpu_features.h"

#include <cstdlib>
#include <string>

#include "native/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif
#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace resnet_native::cpu {
namespace {

constexpr Isa kAllIsas[] = {Isa::kScalar, Isa::kNeon, Isa::kAvx2, Isa::kAvx512, Isa::kAmx};

// `needed` is there at least where the name stands; `used` is what its kernels may use besides.
struct IsaFeatures {
  Features needed, used;
};

IsaFeatures FeaturesOf(Isa isa) {
  constexpr Features kAvx2Rows = kAvx2Fma | kAvxVnni;
  constexpr Features kAvx512Rows = kAvx2Rows | kAvx512 | kAvx512Bf16 | kAvx512Vnni;
  switch (isa) {
    case Isa::kScalar:
      return {0, 0};
    case Isa::kNeon:
      return {kNeon, kNeon | kNeonDotProduct | kNeonI8mm | kNeonBf16};
    case Isa::kAvx2:
      return {kAvx2Fma, kAvx2Rows};
    case Isa::kAvx512:
      return {kAvx2Fma | kAvx512, kAvx512Rows};
    case Isa::kAmx:
      return {kAvx2Fma | kAvx512 | kAvx512Bf16 | kAmxBf16 | kAmxInt8, kAvx512Rows | kAmxBf16 | kAmxInt8};
  }
  return {0, 0};
}

Isa BestIsa() {
  Isa best = Isa::kScalar;
  for (Isa isa : kAllIsas) {
    if (HasIsa(isa)) best = isa;
  }
  return best;
}

#if defined(__x86_64__)
// Tiles are state that the kernel saves: a process may touch it only after it has asked.
bool MayUseTiles() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  constexpr int kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  constexpr uint32_t kTileState = 3u << 17;
  return (low & kTileState) == kTileState && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

Features ReadFeatures() {
  Features features = 0;
  const auto add = [&](bool there, Features feature) { features |= there ? feature : 0; };
  // These look at what the operating system saves, too.
  add(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), kAvx2Fma);
  add(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"),
      kAvx512);
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return features;
  const auto bit = [](uint32_t word, int index) { return (word >> index & 1) != 0; };
  add((features & kAvx512) && bit(ecx, 11), kAvx512Vnni);
  const bool tile = bit(edx, 24), tile_bf16 = bit(edx, 22), tile_int8 = bit(edx, 25);
  if (tile && MayUseTiles()) {
    add(tile_bf16, kAmxBf16);
    add(tile_int8, kAmxInt8);
  }
  if (eax < 1 || !__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx)) return features;
  add((features & kAvx2Fma) && bit(eax, 4), kAvxVnni);
  add((features & kAvx512) && bit(eax, 5), kAvx512Bf16);
  return features;
}
#elif defined(__aarch64__)
#if defined(__linux__)
// Of the kernel's interface; the headers of an old one lack the names.
constexpr unsigned long kHwcapDotProduct = 1ul << 20, kHwcap2I8mm = 1ul << 13, kHwcap2Bf16 = 1ul << 14;

bool HasDotProduct() { return getauxval(AT_HWCAP) & kHwcapDotProduct; }
bool HasI8mm() { return getauxval(AT_HWCAP2) & kHwcap2I8mm; }
bool HasBf16() { return getauxval(AT_HWCAP2) & kHwcap2Bf16; }
#elif defined(__APPLE__)
bool HasOptional(const char* name) {
  int value = 0;
  size_t size = sizeof value;
  return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
}

bool HasDotProduct() { return HasOptional("hw.optional.arm.FEAT_DotProd"); }
bool HasI8mm() { return HasOptional("hw.optional.arm.FEAT_I8MM"); }
bool HasBf16() { return HasOptional("hw.optional.arm.FEAT_BF16"); }
#else
bool HasDotProduct() { return false; }
bool HasI8mm() { return false; }
bool HasBf16() { return false; }
#endif

Features ReadFeatures() {
  Features features = kNeon;
  if (HasDotProduct()) features |= kNeonDotProduct;
  if (HasI8mm()) features |= kNeonI8mm;
  if (HasBf16()) features |= kNeonBf16;
  return features;
}
#else
Features ReadFeatures() { return 0; }
#endif

}  // namespace

const char* IsaName(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return "scalar";
    case Isa::kNeon:
      return "neon";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAmx:
      return "amx";
  }
  return "unknown";
}

Features MachineFeatures() {
  static const Features features = ReadFeatures();
  return features;
}

Features FeaturesFor(Isa isa) { return MachineFeatures() & FeaturesOf(isa).used; }

bool HasIsa(Isa isa) {
  const Features needed = FeaturesOf(isa).needed;
  return (MachineFeatures() & needed) == needed;
}

Isa SelectIsa() {
  const char* forced = std::getenv("RESNET_NATIVE_ISA");
  if (!forced || !*forced) return BestIsa();
  for (Isa isa : kAllIsas) {
    if (std::string(forced) != IsaName(isa)) continue;
    if (HasIsa(isa)) return isa;
    throw Error(ErrorCode::kDeviceUnavailable, std::string("RESNET_NATIVE_ISA asks for ") + forced +
                                                   ", which this CPU lacks; its best is " +
                                                   IsaName(BestIsa()));
  }
  throw Error(ErrorCode::kInvalidArgument, std::string("RESNET_NATIVE_ISA is \"") + forced +
                                               "\"; expected amx, avx512, avx2, neon or scalar");
}

}  // namespace resnet_native::cpu
