#include <dlfcn.h>

#include "native/backends/cuda/entry.h"

// resnet_native_cuda_trial LIBRARY DEVICE OPERATION CANDIDATE: ends with 0 if the candidate runs. See
// trial.h.

int main(int count, char** arguments) {
  if (count != 5) return 2;
  void* library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
  if (!library) return 2;
  auto* trial = reinterpret_cast<resnet_native::CudaTrial*>(dlsym(library, resnet_native::kCudaTrial));
  return trial ? trial(arguments[2], arguments[3], arguments[4]) : 2;
}
