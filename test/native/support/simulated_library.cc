#include <cstdlib>

#include "native/backends/cuda/backend.h"
#include "native/backends/cuda/entry.h"
#include "test/native/support/simulated_device.h"

// The entry of a CUDA backend whose GPUs are simulated, as SIMULATED_* in the environment say.

using resnet_native::FencedBackend;
using namespace resnet_native::testing;

namespace {

int64_t Setting(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atoll(text) : otherwise;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) FencedBackend* resnet_native_cuda_backend(int abi) {
  if (abi != resnet_native::kCudaAbi + Setting("SIMULATED_ABI_OFFSET", 0)) return nullptr;
  const auto behaviour = std::make_shared<Behaviour>();
  behaviour->has_choice = Setting("SIMULATED_CHOICE", 0) != 0;
  behaviour->lacks_decoder = Setting("SIMULATED_NO_DECODER", 0) != 0;
  behaviour->launches_left = Setting("SIMULATED_LAUNCHES", -1);
  behaviour->launch_microseconds = static_cast<int>(Setting("SIMULATED_LAUNCH_MICROSECONDS", 0));
  behaviour->memory_bytes = Setting("SIMULATED_MEMORY", behaviour->memory_bytes);
  const int count = static_cast<int>(Setting("SIMULATED_DEVICES", 1));
  static FencedBackend* backend =
      resnet_native::Enclose(std::make_unique<resnet_native::cuda::CudaBackend>(
                                 std::make_unique<SimulatedSource>(behaviour, count)))
          .release();
  return backend;
}
