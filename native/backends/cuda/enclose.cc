#include "native/backends/cuda/fence.h"

namespace resnet_native {
namespace {

Outcome OutcomeOf(const std::exception_ptr& error) noexcept {
  if (!error) return std::nullopt;
  try {
    std::rethrow_exception(error);
  } catch (const Error& ours) {
    return Failure{ours.code(), ours.what()};
  } catch (const std::bad_alloc&) {
    return Failure{ErrorCode::kOutOfMemory, "not enough memory on the host"};
  } catch (const std::exception& other) {
    return Failure{ErrorCode::kInternal, other.what()};
  } catch (...) {
    return Failure{ErrorCode::kInternal, "an unknown exception"};
  }
}

template <class Action>
Outcome Try(Action action) noexcept {
  try {
    action();
    return std::nullopt;
  } catch (...) {
    return OutcomeOf(std::current_exception());
  }
}

class EnclosedContext final : public FencedContext {
 public:
  explicit EnclosedContext(std::unique_ptr<Context> context) : context_(std::move(context)) {}
  void Run(const RunRequest& request, std::function<void(const Outcome&)> done) noexcept override {
    context_->Run(request, [done = std::move(done)](std::exception_ptr error) { done(OutcomeOf(error)); });
  }

 private:
  const std::unique_ptr<Context> context_;
};

class EnclosedPlan final : public FencedPlan {
 public:
  explicit EnclosedPlan(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)) {}
  const Graph& graph() const noexcept override { return plan_->graph(); }
  int default_contexts() const noexcept override { return plan_->default_contexts(); }
  Outcome Describe(std::vector<StepInfo>* steps) const noexcept override {
    return Try([&] { *steps = plan_->Describe(); });
  }
  Outcome NewContext(std::unique_ptr<FencedContext>* context) const noexcept override {
    return Try([&] { *context = std::make_unique<EnclosedContext>(plan_->NewContext(plan_)); });
  }

 private:
  const std::shared_ptr<const Plan> plan_;
};

class EnclosedBackend final : public FencedBackend {
 public:
  explicit EnclosedBackend(std::unique_ptr<Backend> backend) : backend_(std::move(backend)) {}
  Outcome Devices(std::vector<DeviceInfo>* devices) noexcept override {
    return Try([&] { *devices = backend_->Devices(); });
  }
  Outcome Compile(Graph graph, const CompileOptions& options,
                  std::shared_ptr<const FencedPlan>* plan) noexcept override {
    return Try([&] { *plan = std::make_shared<EnclosedPlan>(backend_->Compile(std::move(graph), options)); });
  }
  Outcome DecodeJpegs(int device_index, std::span<JpegCrop> crops) noexcept override {
    return Try([&] { backend_->DecodeJpegs(device_index, crops); });
  }

 private:
  const std::unique_ptr<Backend> backend_;
};

}  // namespace

std::unique_ptr<FencedBackend> Enclose(std::unique_ptr<Backend> backend) {
  return std::make_unique<EnclosedBackend>(std::move(backend));
}

}  // namespace resnet_native
