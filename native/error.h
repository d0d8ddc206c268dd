#pragma once

#include <stdexcept>
#include <string>

namespace resnet_native {

// The native half of the codes in lib/errors.ts; addon/ translates them, by name, once.
enum class ErrorCode {
  kInvalidArgument,
  kInvalidShape,
  kUnsupported,
  kUnknownNode,
  kDeviceUnavailable,
  kDeviceLost,
  kOutOfMemory,
  kFile,
  kSessionClosed,
  kAborted,
  kInternal,
};

// "INVALID_ARGUMENT" and so on: the code as JavaScript sees it.
const char* ErrorCodeName(ErrorCode code);

// The only exception type thrown by this library's own code. The message says what was wrong, what was
// expected and what to do.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace resnet_native
