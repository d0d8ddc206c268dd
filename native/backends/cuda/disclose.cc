#include "native/backends/cuda/fence.h"

namespace resnet_native {
namespace {

void ThrowIf(const Outcome& outcome) {
  if (outcome) throw Error(outcome->code, outcome->message);
}

class DisclosedContext final : public Context {
 public:
  // `plan` is held because the context is a part of it.
  DisclosedContext(std::unique_ptr<FencedContext> context, std::shared_ptr<const Plan> plan)
      : plan_(std::move(plan)), context_(std::move(context)) {}
  void Run(const RunRequest& request, Completion done) override {
    context_->Run(request, [done = std::move(done)](const Outcome& outcome) {
      done(outcome ? std::make_exception_ptr(Error(outcome->code, outcome->message)) : nullptr);
    });
  }

 private:
  const std::shared_ptr<const Plan> plan_;
  const std::unique_ptr<FencedContext> context_;
};

class DisclosedPlan final : public Plan {
 public:
  explicit DisclosedPlan(std::shared_ptr<const FencedPlan> plan) : plan_(std::move(plan)) {}
  const Graph& graph() const override { return plan_->graph(); }
  int default_contexts() const override { return plan_->default_contexts(); }
  std::vector<StepInfo> Describe() const override {
    std::vector<StepInfo> steps;
    ThrowIf(plan_->Describe(&steps));
    return steps;
  }
  std::unique_ptr<Context> NewContext(std::shared_ptr<const Plan> self) const override {
    std::unique_ptr<FencedContext> context;
    ThrowIf(plan_->NewContext(&context));
    return std::make_unique<DisclosedContext>(std::move(context), std::move(self));
  }

 private:
  const std::shared_ptr<const FencedPlan> plan_;
};

class DisclosedBackend final : public Backend {
 public:
  explicit DisclosedBackend(FencedBackend& backend) : backend_(backend) {}
  std::vector<DeviceInfo> Devices() override {
    std::vector<DeviceInfo> devices;
    ThrowIf(backend_.Devices(&devices));
    return devices;
  }
  std::shared_ptr<const Plan> Compile(Graph graph, const CompileOptions& options) override {
    std::shared_ptr<const FencedPlan> plan;
    ThrowIf(backend_.Compile(std::move(graph), options, &plan));
    return std::make_shared<DisclosedPlan>(std::move(plan));
  }
  void DecodeJpegs(int device_index, std::span<JpegCrop> crops) override {
    ThrowIf(backend_.DecodeJpegs(device_index, crops));
  }

 private:
  FencedBackend& backend_;
};

}  // namespace

std::unique_ptr<Backend> Disclose(FencedBackend& backend) {
  return std::make_unique<DisclosedBackend>(backend);
}

}  // namespace resnet_native
