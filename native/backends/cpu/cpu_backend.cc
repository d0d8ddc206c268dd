#include <system_error>
#include <utility>

#include "native/backend.h"
#include "native/backends/cpu/cpu_features.h"
#include "native/backends/cpu/cpu_info.h"
#include "native/backends/cpu/executor.h"
#include "native/backends/cpu/plan.h"
#include "native/graph/passes/passes.h"

namespace resnet_native {
namespace {

class CpuBackendImpl final : public Backend {
 public:
  std::vector<DeviceInfo> Devices() override {
    DeviceInfo info{"cpu", cpu::CpuName(), true, "", {}, ""};
    try {
      const cpu::Isa isa = cpu::SelectIsa();
      info.isa = cpu::IsaName(isa);
      const cpu::KernelTable kernels(cpu::FeaturesFor(isa));
      for (const auto& [dtype, name] : kDTypeNames) {
        if (kernels[dtype].IsComplete()) info.dtypes.emplace_back(name);
      }
      if (!(cpu::FeaturesFor(isa) & (cpu::kNeonBf16 | cpu::kAvx512Bf16 | cpu::kAmxBf16))) {
        info.reason =
            "bfloat16 is widened to float32, which is no faster: no instructions for it are used here";
      }
    } catch (const Error& error) {
      info.available = false;
      info.reason = error.what();
    }
    return {info};
  }

  std::shared_ptr<const Plan> Compile(Graph graph, const CompileOptions& options) override {
    const cpu::KernelTable kernels(cpu::FeaturesFor(cpu::SelectIsa()));
    if (!kernels[options.dtype].IsComplete()) {
      throw Error(ErrorCode::kUnsupported,
                  "the CPU has no kernels for the data type asked for; devices() says which it has");
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
    graph = Optimize(std::move(graph));
    if (options.dtype == DType::kInt8) graph = Quantize(std::move(graph));
    graph = FuseMaxPool(std::move(graph));
    try {
      return std::make_shared<cpu::CpuPlan>(std::move(graph), kernels, threads, options);
    } catch (...) {
      std::rethrow_exception(
          cpu::TranslateException("the packed weights of this network; memory: \"low\" needs least"));
    }
  }

 private:
  static constexpr int kMaxThreads = 1024;
  static constexpr std::pair<DType, const char*> kDTypeNames[] = {
      {DType::kFloat32, "float32"}, {DType::kBfloat16, "bfloat16"}, {DType::kInt8, "int8"}};
};

}  // namespace

Backend& CpuBackend() {
  static CpuBackendImpl backend;
  return backend;
}

}  // namespace resnet_native
