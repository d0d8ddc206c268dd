#include "native/backends/cuda/trial.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <thread>
#include <type_traits>

#include "native/backends/cuda/kernel_timer.h"

extern char** environ;

namespace resnet_native::cuda {
namespace {

// A process that has to start CUDA, build one plan and run it a few times.
constexpr std::chrono::seconds kLimit{60};
constexpr std::chrono::milliseconds kPollEvery{5};

static_assert(std::is_trivially_copyable_v<Operation>, "its bytes are the argument");

pid_t Start(const std::string& program, const std::vector<std::string>& arguments) {
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = -1;
  const int status = posix_spawn(&child, program.c_str(), &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  return status == 0 ? child : -1;
}

}  // namespace

bool RunsWell(const std::string& program, const std::vector<std::string>& arguments,
              std::chrono::milliseconds limit) {
  const pid_t child = Start(program, arguments);
  if (child < 0) return false;
  const auto end = std::chrono::steady_clock::now() + limit;
  int status = 0;
  // By its own id, so that nobody else's child is waited for.
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > end) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      return false;
    }
    std::this_thread::sleep_for(kPollEvery);
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool TryInChild(const std::string& program, const std::string& library, int device,
                const Operation& operation, const std::string& candidate) {
  return RunsWell(program, {library, std::to_string(device), ToArgument(operation), candidate}, kLimit);
}

void Try(Device& device, const Operation& operation, const std::string& candidate) {
  // The timer takes a shared device, and this one outlives it.
  const std::shared_ptr<Device> borrowed(&device, [](Device*) {});
  const auto memory = std::make_shared<DeviceMemory>(borrowed, 0);
  const std::unique_ptr<const Kernel> kernel = device.Build(operation, candidate);
  KernelTimer(borrowed, memory).Time(operation, *kernel);
}

std::string ToArgument(const Operation& operation) {
  static constexpr char kDigits[] = "0123456789abcdef";
  unsigned char bytes[sizeof(Operation)];
  std::memcpy(bytes, &operation, sizeof(bytes));
  std::string text;
  for (const unsigned char byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

Operation FromArgument(const std::string& argument) {
  const auto digit = [](char c) { return c >= 'a' ? c - 'a' + 10 : c - '0'; };
  unsigned char bytes[sizeof(Operation)];
  if (argument.size() != 2 * sizeof(bytes))
    throw Error(ErrorCode::kInvalidArgument, "no operation of this build");
  for (size_t i = 0; i < sizeof(bytes); ++i) {
    bytes[i] = static_cast<unsigned char>(digit(argument[2 * i]) << 4 | digit(argument[2 * i + 1]));
  }
  Operation operation;
  std::memcpy(&operation, bytes, sizeof(bytes));
  return operation;
}

}  // namespace resnet_native::cuda
