#include "native/choice_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace resnet_native {
namespace {

// Of what a name of a file must tell apart, and nothing more: FNV-1a.
std::string Fingerprint(const std::string& text) {
  uint64_t hash = 14695981039346656037u;
  for (const unsigned char byte : text) hash = (hash ^ byte) * 1099511628211u;
  char digits[17];
  std::snprintf(digits, sizeof(digits), "%016llx", static_cast<unsigned long long>(hash));
  return digits;
}

// Whole or not at all, where the system appends atomically; a line torn by a full disk is skipped by Load.
void Write(const std::string& path, int flags, const std::string& text) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
  if (file < 0) return;
  [[maybe_unused]] const ssize_t written = write(file, text.data(), text.size());
  close(file);
}

}  // namespace

ChoiceFile::ChoiceFile(const std::string& machine, const std::string& kind, const std::string& folder)
    : header_("# " + machine) {
  if (folder.empty()) return;
  path_ = (std::filesystem::path(folder) / (kind + "-" + Fingerprint(header_) + ".tsv")).string();
  Load();
}

// Lines of key, choice and milliseconds, separated by tabs.
void ChoiceFile::Load() {
  std::ifstream file(path_);
  if (!file) return;
  std::string line;
  if (!std::getline(file, line) || line != header_) {
    problem_ = path_ + " is no list of choices for this machine";
    replace_ = true;
    return;
  }
  for (int number = 2; std::getline(file, line); ++number) {
    const size_t first = line.find('\t');
    const size_t second = first == std::string::npos ? first : line.find('\t', first + 1);
    if (second == std::string::npos || line.back() != '.') {
      problem_ = "line " + std::to_string(number) + " of " + path_ + " is not a choice";
      continue;
    }
    choices_[line.substr(0, first)] = line.substr(first + 1, second - first - 1);
  }
}

std::optional<std::string> ChoiceFile::Find(const std::string& key) const {
  std::lock_guard lock(mutex_);
  const auto found = choices_.find(key);
  if (found == choices_.end()) return std::nullopt;
  return found->second;
}

void ChoiceFile::Remember(const std::string& key, const std::string& choice, double milliseconds) {
  std::lock_guard lock(mutex_);
  choices_[key] = choice;
  if (path_.empty()) return;
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), ignored);
  if (replace_ || !std::filesystem::exists(path_, ignored)) Write(path_, O_TRUNC, header_ + '\n');
  replace_ = false;
  char time[32];
  std::snprintf(time, sizeof(time), "%.5f ms .", milliseconds);
  Write(path_, O_APPEND, key + '\t' + choice + '\t' + time + '\n');
}

}  // namespace resnet_native
