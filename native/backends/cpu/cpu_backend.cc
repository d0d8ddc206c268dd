#include <system_error>

#include "native/backend.h"
#include "native/backends/cpu/cpu_info.h"
#include "native/backends/cpu/executor.h"
#include "native/backends/cpu/plan.h"
#include "native/graph/passes/passes.h"

namespace resnet_native {
namespace {

class CpuBackendImpl final : public Backend {
 public:
  std::vector<DeviceInfo> Devices() override {
    DeviceInfo info{"cpu", cpu::CpuName(), true, "", {"float32"}, ""};
    try {
      info.isa = cpu::IsaName(cpu::SelectIsa());
    } catch (const Error& error) {
      info.available = false;
      info.reason = error.what();
    }
    return {info};
  }

  std::shared_ptr<const Plan> Compile(Graph graph, const CompileOptions& options) override {
    if (options.dtype != DType::kFloat32) {
      throw Error(ErrorCode::kUnsupported, "the CPU computes in float32; ask for dtype 'float32'");
    }
    if (options.device_index != 0) {
      throw Error(ErrorCode::kDeviceUnavailable,
                  "there is one CPU device, \"cpu\"; use `threads` to share it");
    }
    if (options.threads < 0 || options.threads > kMaxThreads) {
      throw Error(ErrorCode::kInvalidArgument, "expected threads from 1 to " + std::to_string(kMaxThreads) +
                                                   ", or 0 for all, but got " +
                                                   std::to_string(options.threads));
    }
    const int threads = options.threads > 0 ? options.threads : cpu::AvailableParallelism();
    const cpu::KernelSet kernels = cpu::SelectKernels(options.dtype, cpu::SelectIsa());
    try {
      return std::make_shared<cpu::CpuPlan>(Optimize(std::move(graph)), kernels, threads, options);
    } catch (...) {
      std::rethrow_exception(cpu::TranslateException());
    }
  }

 private:
  static constexpr int kMaxThreads = 1024;
};

}  // namespace

Backend& CpuBackend() {
  static CpuBackendImpl backend;
  return backend;
}

}  // namespace resnet_native
