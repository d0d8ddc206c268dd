#include "native/choice_file.h"

#include <fcntl.h>
#include <sys/file.h>
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

// A file that this process alone writes to while the object lives; not open where that cannot be had.
class LockedFile {
 public:
  explicit LockedFile(const std::string& path)
      : file_(open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
    if (file_ < 0 || flock(file_, LOCK_EX) == 0) return;
    close(file_);
    file_ = -1;
  }
  ~LockedFile() {
    if (file_ >= 0) close(file_);  // which unlocks it
  }
  LockedFile(const LockedFile&) = delete;
  LockedFile& operator=(const LockedFile&) = delete;

  bool is_open() const { return file_ >= 0; }
  bool BeginsWith(const std::string& text) const {
    std::string begin(text.size(), '\0');
    return pread(file_, begin.data(), begin.size(), 0) == static_cast<ssize_t>(text.size()) && begin == text;
  }
  bool Empty() const { return ftruncate(file_, 0) == 0; }
  // A line torn by a full disk is skipped by Load.
  void Append(const std::string& text) const {
    [[maybe_unused]] const ssize_t written = write(file_, text.data(), text.size());
  }

 private:
  int file_;
};

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
  if (!std::getline(file, line)) return;  // it is just being made
  if (line != header_) {
    problem_ = path_ + " is no list of choices for this machine";
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
  char time[32];
  std::snprintf(time, sizeof(time), "%.5f ms .", milliseconds);
  const std::string header = header_ + '\n', entry = key + '\t' + choice + '\t' + time + '\n';
  const LockedFile file(path_);
  if (!file.is_open()) return;
  // Looked at under the lock: another process may have begun the list since this one looked.
  if (file.BeginsWith(header)) {
    file.Append(entry);
  } else if (file.Empty()) {
    file.Append(header + entry);
  }
}

}  // namespace resnet_native
