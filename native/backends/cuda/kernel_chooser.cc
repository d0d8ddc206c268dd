#include "native/backends/cuda/kernel_chooser.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace resnet_native::cuda {
namespace {

// The batch size of an operation, which is taken out of it: what is left is the layer. 0 if it has none.
int64_t TakeBatch(Operation* operation) {
  if (auto* conv = std::get_if<Convolution>(operation)) return std::exchange(conv->n, 0);
  if (auto* linear = std::get_if<Linear>(operation)) return std::exchange(linear->rows, 0);
  return 0;
}

// Errors that concern one candidate only. Memory that is short is one of them: another needs less.
bool IsOfCandidate(const Error& error) { return error.code() != ErrorCode::kDeviceLost; }

// After every candidate has failed; `last` is the error of the last that was tried, if any.
Error NoneLeft(const Operation& operation, const std::optional<Error>& last) {
  const std::string what = "no kernel for \"" + ToString(operation) + "\" can be had on this device";
  if (!last) return Error(ErrorCode::kUnsupported, what);
  const bool memory = last->code() == ErrorCode::kOutOfMemory;
  return Error(memory ? ErrorCode::kOutOfMemory : ErrorCode::kUnsupported, what + ": " + last->what());
}

}  // namespace

KernelChooser::KernelChooser(std::shared_ptr<Device> device, std::shared_ptr<DeviceMemory> memory,
                             ChoiceCache& choices, Trial trial, size_t workspace_limit)
    : device_(std::move(device)),
      memory_(std::move(memory)),
      choices_(choices),
      trial_(std::move(trial)),
      workspace_limit_(workspace_limit) {}

std::shared_ptr<const Kernel> KernelChooser::Choose(const Operation& operation, bool measure) {
  std::lock_guard lock(mutex_);
  std::weak_ptr<const Kernel>& known = kernels_[ToString(operation)];
  if (auto kernel = known.lock()) return kernel;
  std::shared_ptr<const Kernel> kernel = BuildBest(operation, measure);
  if (measure) {
    Operation layer = operation;
    const int64_t n = TakeBatch(&layer);
    by_layer_[ToString(layer)][n] = kernel->name();
  }
  known = kernel;
  return kernel;
}

void KernelChooser::DoneMeasuring() {
  std::lock_guard lock(mutex_);
  timer_.reset();
}

std::shared_ptr<const Kernel> KernelChooser::BuildBest(const Operation& operation, bool measure) {
  if (const auto remembered = choices_.Find(operation)) {
    try {
      return Build(operation, *remembered);
    } catch (const Error& error) {
      if (!IsOfCandidate(error)) throw;
    }
  }
  const std::vector<Candidate> candidates = device_->Candidates(operation);
  return measure && candidates.size() > 1 ? BuildFastest(operation, candidates)
                                          : BuildFirst(operation, candidates);
}

std::shared_ptr<const Kernel> KernelChooser::Build(const Operation& operation, const std::string& candidate) {
  std::shared_ptr<const Kernel> kernel = device_->Build(operation, candidate);
  if (kernel->workspace_bytes() > workspace_limit_) {
    throw Error(ErrorCode::kOutOfMemory, candidate + " needs a workspace of " +
                                             ShowBytes(kernel->workspace_bytes()) + ", over the limit of " +
                                             ShowBytes(workspace_limit_));
  }
  return kernel;
}

std::shared_ptr<const Kernel> KernelChooser::BuildFirst(const Operation& operation,
                                                        std::vector<Candidate> candidates) {
  const std::string chosen = ChoiceOfNearestBatch(operation);
  std::stable_partition(candidates.begin(), candidates.end(),
                        [&](const Candidate& candidate) { return candidate.name == chosen; });
  std::optional<Error> last;
  for (const Candidate& candidate : candidates) {
    if (candidate.may_crash && !trial_(operation, candidate.name)) continue;
    try {
      return Build(operation, candidate.name);
    } catch (const Error& error) {
      if (!IsOfCandidate(error)) throw;
      last = error;
    }
  }
  throw NoneLeft(operation, last);
}

std::string KernelChooser::ChoiceOfNearestBatch(Operation operation) const {
  const int64_t n = TakeBatch(&operation);
  const auto layer = by_layer_.find(ToString(operation));
  if (layer == by_layer_.end()) return "";
  const auto larger = layer->second.lower_bound(n);
  return larger != layer->second.end() ? larger->second : layer->second.rbegin()->second;
}

std::shared_ptr<const Kernel> KernelChooser::BuildFastest(const Operation& operation,
                                                          const std::vector<Candidate>& candidates) {
  if (!timer_) timer_ = std::make_unique<KernelTimer>(device_, memory_);
  std::shared_ptr<const Kernel> best;
  double best_time = 0;
  std::optional<Error> last;
  for (const Candidate& candidate : candidates) {
    if (candidate.may_crash && !trial_(operation, candidate.name)) continue;
    try {
      std::shared_ptr<const Kernel> kernel = Build(operation, candidate.name);
      const double time = timer_->Time(operation, *kernel);
      if (best && time >= best_time) continue;
      best = std::move(kernel);
      best_time = time;
    } catch (const Error& error) {
      if (!IsOfCandidate(error)) throw;
      last = error;
    }
  }
  if (!best) throw NoneLeft(operation, last);
  choices_.Remember(operation, best->name(), best_time);
  return best;
}

}  // namespace resnet_native::cuda
