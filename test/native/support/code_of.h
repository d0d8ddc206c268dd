#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "native/error.h"

namespace resnet_native::testing {

// The code of the error that `action` throws; a failure of the test if it throws none.
inline ErrorCode CodeOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "expected an error";
  return ErrorCode::kInternal;
}

}  // namespace resnet_native::testing
