#include "native/backends/cuda/choice_cache.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace resnet_native::cuda {
namespace {

// Of what a name of a file must tell apart, and nothing more: FNV-1a.
std::string Fingerprint(const std::string& text) {
  uint64_t hash = 14695981039346656037u;
  for (const unsigned char byte : text) hash = (hash ^ byte) * 1099511628211u;
  char digits[17];
  std::snprintf(digits, sizeof(digits), "%016llx", static_cast<unsigned long long>(hash));
  return digits;
}

std::string HeaderOf(const DeviceProperties& device) {
  return "# " + device.name + " sm" + std::to_string(device.compute_major) +
         std::to_string(device.compute_minor) + ' ' + device.versions;
}

// Whole or not at all, where the system appends atomically; a line torn by a full disk is skipped by Load.
void Append(const std::string& path, const std::string& text) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) return;
  [[maybe_unused]] const ssize_t written = write(file, text.data(), text.size());
  close(file);
}

}  // namespace

ChoiceCache::ChoiceCache(const DeviceProperties& device, const std::string& folder)
    : header_(HeaderOf(device)) {
  if (folder.empty()) return;
  path_ = (std::filesystem::path(folder) / ("cuda-" + Fingerprint(header_) + ".tsv")).string();
  Load();
}

// Lines of operation, kernel and milliseconds, separated by tabs.
void ChoiceCache::Load() {
  std::ifstream file(path_);
  std::string line;
  if (!std::getline(file, line) || line != header_) return;
  while (std::getline(file, line)) {
    const size_t first = line.find('\t');
    const size_t second = line.find('\t', first + 1);
    if (first == std::string::npos || second == std::string::npos || line.back() != '.') continue;
    choices_[line.substr(0, first)] = line.substr(first + 1, second - first - 1);
  }
}

std::optional<std::string> ChoiceCache::Find(const Operation& operation) const {
  std::lock_guard lock(mutex_);
  const auto found = choices_.find(ToString(operation));
  if (found == choices_.end()) return std::nullopt;
  return found->second;
}

void ChoiceCache::Remember(const Operation& operation, const std::string& kernel, double milliseconds) {
  const std::string key = ToString(operation);
  std::lock_guard lock(mutex_);
  choices_[key] = kernel;
  if (path_.empty()) return;
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), ignored);
  if (!std::filesystem::exists(path_, ignored)) Append(path_, header_ + '\n');
  char time[32];
  std::snprintf(time, sizeof(time), "%.5f ms .", milliseconds);
  Append(path_, key + '\t' + kernel + '\t' + time + '\n');
}

}  // namespace resnet_native::cuda
