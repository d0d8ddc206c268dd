#include "native/error.h"

namespace resnet_native {

const char* ErrorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case ErrorCode::kInvalidShape:
      return "INVALID_SHAPE";
    case ErrorCode::kUnsupported:
      return "UNSUPPORTED";
    case ErrorCode::kUnknownNode:
      return "UNKNOWN_NODE";
    case ErrorCode::kDeviceUnavailable:
      return "DEVICE_UNAVAILABLE";
    case ErrorCode::kDeviceLost:
      return "DEVICE_LOST";
    case ErrorCode::kOutOfMemory:
      return "OUT_OF_MEMORY";
    case ErrorCode::kFile:
      return "FILE";
    case ErrorCode::kSessionClosed:
      return "SESSION_CLOSED";
    case ErrorCode::kAborted:
      return "ABORT_ERR";
    case ErrorCode::kInternal:
      return "INTERNAL";
  }
  return "INTERNAL";
}

}  // namespace resnet_native
