#pragma once

#include <dlfcn.h>

#include <string>

#include "native/error.h"

namespace resnet_native::cuda {

// The function of that name in a library opened at run time, typed as its header declares it. Throws
// kDeviceUnavailable if the library is too old to have it.
template <class Function>
void FindSymbol(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
  if (function) return;
  throw Error(
      ErrorCode::kDeviceUnavailable,
      std::string("a library has no ") + name + "; it is older than this build needs: update CUDA and cuDNN");
}

}  // namespace resnet_native::cuda
