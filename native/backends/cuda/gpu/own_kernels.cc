#include "native/backends/cuda/gpu/gpu_kernel.h"
#include "native/backends/cuda/gpu/kernels/bodies.h"
#include "native/backends/cuda/gpu/kernels/launch.h"

// The kernels of ours as candidates. There is one for every operation, so that there always is a way.

namespace resnet_native::cuda {
namespace {

constexpr const char* kName = "own";

class OwnKernel final : public GpuKernel {
 public:
  explicit OwnKernel(const Operation& operation) : GpuKernel(kName), operation_(operation) {}
  size_t workspace_bytes() const override { return 0; }

  void Launch(const LaunchTarget& target, const Operands& operands) const override {
    std::visit(
        [&](const auto& op) {
          WithBody(op, operands, [&](const auto& body) {
            target.state.Check(LaunchBody(body, target.stream), "launching a kernel");
          });
        },
        operation_);
  }

 private:
  const Operation operation_;
};

// The body depends on the operation alone: whether there is one shows without operands.
void CheckSupported(const Operation& operation) {
  std::visit([](const auto& op) { WithBody(op, Operands{}, [](const auto&) {}); }, operation);
}

}  // namespace

std::vector<Candidate> OwnCandidates(const Operation& operation) {
  try {
    CheckSupported(operation);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnsupported) throw;
    return {};
  }
  return {{kName}};
}

std::unique_ptr<const GpuKernel> BuildOwn(const Operation& operation, const std::string& name) {
  if (name != kName) return nullptr;
  CheckSupported(operation);
  return std::make_unique<OwnKernel>(operation);
}

}  // namespace resnet_native::cuda
