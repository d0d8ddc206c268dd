#include "native/backends/cpu/cpu_info.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <thread>

#ifdef __linux__
#include <sched.h>
#include <unistd.h>
#endif

namespace resnet_native::cpu {
namespace {

CacheSizes ReadCaches() {
  CacheSizes sizes;
#if defined(_SC_LEVEL1_DCACHE_SIZE) && defined(_SC_LEVEL2_CACHE_SIZE)
  const long l1 = sysconf(_SC_LEVEL1_DCACHE_SIZE), l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (l1 > 0) sizes.l1 = static_cast<size_t>(l1);
  if (l2 > 0) sizes.l2 = static_cast<size_t>(l2);
#endif
  return sizes;
}

#ifdef __linux__
// CPUs granted by one cgroup folder; 0 where it sets no limit.
double QuotaOf(const std::string& folder) {
  std::string quota;
  double period = 0;
  if (std::ifstream v2(folder + "/cpu.max"); v2 >> quota >> period) {
    return quota == "max" || period <= 0 ? 0 : std::atof(quota.c_str()) / period;
  }
  double microseconds = 0;
  std::ifstream v1_quota(folder + "/cpu.cfs_quota_us"), v1_period(folder + "/cpu.cfs_period_us");
  if (v1_quota >> microseconds && v1_period >> period && microseconds > 0 && period > 0)
    return microseconds / period;
  return 0;
}

// The smallest quota of a cgroup and all above it; 0 for none.
double SmallestQuota(const std::string& mount, std::string path) {
  double smallest = 0;
  for (;;) {
    const double quota = QuotaOf(mount + path);
    if (quota > 0) smallest = smallest > 0 ? std::min(smallest, quota) : quota;
    if (path.empty()) return smallest;
    path.resize(path.find_last_of('/'));
  }
}

// Lines are "id:controllers:path"; version 2 has no controllers. Inside a container the path is the host's,
// which is not there: then the mount's own folder is the container's.
double CgroupQuota() {
  double smallest = 0;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    std::string path = line.substr(second + 1);
    if (path.empty() || path[0] != '/' || path == "/") path.clear();
    for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"}) {
      if (controllers != ",," && controllers.find(",cpu,") == std::string::npos) continue;
      const double quota = SmallestQuota(mount, path);
      if (quota > 0) smallest = smallest > 0 ? std::min(smallest, quota) : quota;
    }
  }
  return smallest;
}
#endif

}  // namespace

const CacheSizes& Caches() {
  static const CacheSizes sizes = ReadCaches();
  return sizes;
}

int AvailableParallelism() {
  int cpus = static_cast<int>(std::thread::hardware_concurrency());
#ifdef __linux__
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) cpus = CPU_COUNT(&mask);
  const double quota = CgroupQuota();
  if (quota > 0) cpus = std::min(cpus, static_cast<int>(quota + 0.999));
#endif
  return std::max(cpus, 1);
}

std::string CpuName() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const size_t begin = line.find_first_not_of(" \t", line.find(':') + 1);
    if (begin != std::string::npos) return line.substr(begin);
  }
#if defined(__aarch64__)
  return "AArch64 CPU";
#else
  return "x86-64 CPU";
#endif
}

}  // namespace resnet_native::cpu
