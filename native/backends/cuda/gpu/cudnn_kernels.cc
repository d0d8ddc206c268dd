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

size_t Aligned(int64_t bytes) { return static_cast<size_t>(CeilDiv(bytes, kAlignment) * kAlignment); }

// cuDNN pads with stored zeros, which stand for the byte 128. Where padding is made of bytes 0, x gets its
// border from us first, in the workspace.
bool NeedsBorder(const Convolution& op) {
  const bool pads = op.window.pad_h > 0 || op.window.pad_w > 0;
  return op.dtype == DType::kInt8 && pads && op.zero_point != kStoredZero;
}

// The convolution as cuDNN gets to see it.
Convolution Bordered(Convolution op) {
  if (!NeedsBorder(op)) return op;
  op.h += 2 * op.window.pad_h;
  op.w += 2 * op.window.pad_w;
  op.window.pad_h = op.window.pad_w = 0;
  return op;
}

class CudnnKernel : public GpuKernel {
 public:
  CudnnKernel(std::string name, const Convolution& op, std::unique_ptr<const CudnnPlan> plan)
      : GpuKernel(std::move(name)), op_(op), plan_(std::move(plan)) {
    if (NeedsBorder(op)) bordered_bytes_ = Aligned(BytesOf(Bordered(op)).x);
  }
  size_t workspace_bytes() const override { return bordered_bytes_ + plan_->workspace_bytes(); }

 protected:
  // Of the convolution with its border, where it needs one.
  void Execute(const LaunchTarget& target, Operands operands) const {
    if (bordered_bytes_ > 0) {
      const auto run = [&](const auto& body) {
        target.state.Check(LaunchBody(body, target.stream), "launching a border");
      };
      WithBorder(op_, operands.x, operands.workspace, run);
      operands.x = operands.workspace;
      operands.workspace = static_cast<char*>(operands.workspace) + bordered_bytes_;
    }
    const std::string error = plan_->Execute(target.cudnn, operands);
    if (!error.empty()) target.state.Fail("cuDNN: " + error + " while launching " + name());
  }

  const Convolution op_;

 private:
  const std::unique_ptr<const CudnnPlan> plan_;
  size_t bordered_bytes_ = 0;
};

class FusedKernel final : public CudnnKernel {
 public:
  using CudnnKernel::CudnnKernel;
  void Launch(const LaunchTarget& target, const Operands& operands) const override {
    Execute(target, operands);
  }
};

// The sums go to y, and the epilogue reads them there; those of int8 are float32 and go to the workspace.
class SplitKernel final : public CudnnKernel {
 public:
  SplitKernel(std::string name, const Convolution& op, std::unique_ptr<const CudnnPlan> plan)
      : CudnnKernel(std::move(name), op, std::move(plan)) {
    if (op.dtype == DType::kInt8) sums_bytes_ = Aligned(op.OutShape().elements() * sizeof(float));
  }
  size_t workspace_bytes() const override { return sums_bytes_ + CudnnKernel::workspace_bytes(); }

  void Launch(const LaunchTarget& target, const Operands& operands) const override {
    Operands plain = operands;
    plain.workspace = static_cast<char*>(operands.workspace) + sums_bytes_;
    if (op_.dtype == DType::kInt8) plain.y = operands.workspace;
    Execute(target, plain);
    const auto run = [&](const auto& body) {
      target.state.Check(LaunchBody(body, target.stream), "launching an epilogue");
    };
    const int64_t elements = op_.OutShape().elements();
    if (op_.dtype == DType::kInt8) {
      const LibrarySums<float> sums{
          static_cast<const float*>(plain.y), elements, op_.out_channels, op_.to(), op_.residual, op_.relu};
      return WithEpilogue(sums, operands, run);
    }
    WithFloatType(op_.dtype, [&]<class T>(Tag<T>) {
      const Tail<T> tail{op_.residual ? static_cast<const T*>(operands.residual) : nullptr, 1.0f, nullptr,
                         operands.shift, op_.relu};
      auto* y = static_cast<T*>(operands.y);
      WithEpilogue(elements, op_.out_channels, static_cast<const T*>(y), y, tail, run);
    });
  }

 private:
  size_t sums_bytes_ = 0;
};

// Kernels that come with cuDNN have crashed on int8 in NHWC (cudnn-frontend's issue 422). None of ours is of
// the form that did, but what such a kernel does is found out in another process first.
bool MayCrash(const Convolution& op, const CudnnOffer& offer) {
  return op.dtype == DType::kInt8 && offer.ready_made;
}

void Append(const BuildTarget& target, const Convolution& op, GraphForm form, const char* prefix,
            std::vector<Candidate>& candidates) {
  try {
    for (const CudnnOffer& offer : CudnnOffers(target.cudnn, Bordered(op), form)) {
      candidates.push_back({prefix + offer.name, MayCrash(op, offer)});
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
  std::unique_ptr<const CudnnPlan> plan = BuildCudnnPlan(target.cudnn, Bordered(*op), form, plan_name);
  if (fused) return std::make_unique<FusedKernel>(name, *op, std::move(plan));
  return std::make_unique<SplitKernel>(name, *op, std::move(plan));
}

}  // namespace resnet_native::cuda
