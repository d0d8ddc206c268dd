#include "native/weights_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "native/error.h"

namespace resnet_native {
namespace {

[[noreturn]] void Fail(const std::string& path, int number) {
  throw Error(ErrorCode::kFile, "Cannot read " + path + ": " + std::generic_category().message(number));
}

[[noreturn]] void FailChanged(const std::string& path) {
  throw Error(ErrorCode::kFile, path + " was written to after the model was loaded from it: load it again");
}

int64_t ModifiedNs(const struct stat& status) {
#ifdef __APPLE__
  const timespec& time = status.st_mtimespec;
#else
  const timespec& time = status.st_mtim;
#endif
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

WeightsFile::WeightsFile(int descriptor, std::string path, const State& state)
    : descriptor_(fcntl(descriptor, F_DUPFD_CLOEXEC, 0)), path_(std::move(path)), state_(state) {
  if (descriptor_ < 0) Fail(path_, errno);
}

WeightsFile::~WeightsFile() { close(descriptor_); }

void WeightsFile::Read(uint64_t position, void* to, size_t bytes) const {
  size_t done = 0;
  while (done < bytes) {
    const ssize_t count =
        pread(descriptor_, static_cast<char*>(to) + done, bytes - done, static_cast<off_t>(position + done));
    if (count == 0) FailChanged(path_);
    if (count < 0 && errno != EINTR) Fail(path_, errno);
    if (count > 0) done += static_cast<size_t>(count);
  }
  CheckUnchanged();
}

// After reading, so that nothing which was written before is missed.
void WeightsFile::CheckUnchanged() const {
  struct stat status;
  if (fstat(descriptor_, &status) != 0) Fail(path_, errno);
  if (status.st_size != state_.bytes || ModifiedNs(status) != state_.modified_ns) FailChanged(path_);
}

}  // namespace resnet_native
