#include "native/backends/cuda/gpu/cudnn_graph.h"
#include "native/backends/cuda/gpu/gpu_kernel.h"
#include "native/backends/cuda/gpu/kernels/bodies.h"
#include "native/backends/cuda/gpu/kernels/launch.h"

// cuDNN's plans for a convolution as candidates: fused, or the sum alone with an epilogue of ours behind it.
// Fusing a side input has been slow in some releases, so that both are offered.

namespace resnet_native::cuda {
namespace {

constexpr const char* kFusedPrefix = "cudnn fused ";
constexpr const char* kSplitPrefix = "cudnn split ";

class FusedKernel final : public GpuKernel {
 public:
  FusedKernel(std::string name, std::unique_ptr<const CudnnPlan> plan)
      : GpuKernel(std::move(name)), plan_(std::move(plan)) {}
  size_t workspace_bytes() const override { return plan_->workspace_bytes(); }

  void Launch(const LaunchTarget& target, const Operands& operands) const override {
    const std::string error = plan_->Execute(target.cudnn, operands);
    if (!error.empty()) target.state.Fail("cuDNN: " + error + " while launching " + name());
  }

 private:
  const std::unique_ptr<const CudnnPlan> plan_;
};

// The sums go to y, and the epilogue reads them there; those of int8 are float32 and go to the workspace.
class SplitKernel final : public GpuKernel {
 public:
  SplitKernel(std::string name, const Convolution& op, std::unique_ptr<const CudnnPlan> plan)
      : GpuKernel(std::move(name)), op_(op), plan_(std::move(plan)) {
    const int64_t bytes = op.OutShape().elements() * static_cast<int64_t>(sizeof(float));
    if (op.dtype == DType::kInt8) sums_bytes_ = CeilDiv(bytes, kAlignment) * kAlignment;
  }
  size_t workspace_bytes() const override { return sums_bytes_ + plan_->workspace_bytes(); }

  void Launch(const LaunchTarget& target, const Operands& operands) const override {
    Operands plain = operands;
    plain.workspace = static_cast<char*>(operands.workspace) + sums_bytes_;
    if (op_.dtype == DType::kInt8) plain.y = operands.workspace;
    const std::string error = plan_->Execute(target.cudnn, plain);
    if (!error.empty()) target.state.Fail("cuDNN: " + error + " while launching " + name());
    if (op_.dtype == DType::kInt8) {
      Finish<float, int8_t>(target, operands, plain.y, operands.scale, operands.residual_scale);
    } else {
      WithFloatType(op_.dtype,
                    [&]<class T>(Tag<T>) { Finish<T, T>(target, operands, plain.y, nullptr, 1.0f); });
    }
  }

 private:
  template <class From, class To>
  void Finish(const LaunchTarget& target, const Operands& operands, const void* sums, const float* scale,
              float residual_scale) const {
    const EpilogueSizes sizes{op_.OutShape().elements(), op_.out_channels, op_.relu};
    WithEpilogue<From, To>(sizes, static_cast<const From*>(sums),
                           op_.residual ? static_cast<const To*>(operands.residual) : nullptr, residual_scale,
                           scale, operands.shift, static_cast<To*>(operands.y), [&](const auto& body) {
                             target.state.Check(LaunchBody(body, target.stream), "launching an epilogue");
                           });
  }

  const Convolution op_;
  const std::unique_ptr<const CudnnPlan> plan_;
  size_t sums_bytes_ = 0;
};

void Append(const BuildTarget& target, const Convolution& op, GraphForm form, const char* prefix,
            std::vector<Candidate>& candidates) {
  try {
    for (const std::string& plan : CudnnPlanNames(target.cudnn, op, form)) {
      candidates.push_back({prefix + plan});
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnsupported) throw;
  }
}

}  // namespace

std::vector<Candidate> CudnnCandidates(const BuildTarget& target, const Operation& operation) {
  const auto* op = std::get_if<Convolution>(&operation);
  std::vector<Candidate> candidates;
  if (!op) return candidates;
  Append(target, *op, GraphForm::kFused, kFusedPrefix, candidates);
  Append(target, *op, GraphForm::kPlain, kSplitPrefix, candidates);
  return candidates;
}

std::unique_ptr<const GpuKernel> BuildCudnn(const BuildTarget& target, const Operation& operation,
                                            const std::string& name) {
  const bool fused = name.starts_with(kFusedPrefix);
  if (!fused && !name.starts_with(kSplitPrefix)) return nullptr;
  const auto* op = std::get_if<Convolution>(&operation);
  if (!op) throw Error(ErrorCode::kUnsupported, name + " is no candidate of " + ToString(operation));
  const std::string plan_name = name.substr(std::string(fused ? kFusedPrefix : kSplitPrefix).size());
  const GraphForm form = fused ? GraphForm::kFused : GraphForm::kPlain;
  std::unique_ptr<const CudnnPlan> plan = BuildCudnnPlan(target.cudnn, *op, form, plan_name);
  if (fused) return std::make_unique<FusedKernel>(name, std::move(plan));
  return std::make_unique<SplitKernel>(name, *op, std::move(plan));
}

}  // namespace resnet_native::cuda
