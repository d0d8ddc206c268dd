#include "native/calibration/calibrator.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <limits>
#include <thread>

#include "native/graph/passes/passes.h"
#include "native/graph/quantization.h"

namespace resnet_native {
namespace {

// All values of a network are held at once: 45 MB for each image of ResNet-50.
constexpr int64_t kImagesAtOnce = 4;

NodeId Find(const Graph& graph, const std::string& name) {
  const auto found = std::find_if(graph.nodes.begin(), graph.nodes.end(),
                                  [&](const Node& node) { return node.name == name; });
  return static_cast<NodeId>(found - graph.nodes.begin());
}

// The nodes of the optimised graph, which have names of the traced one, and the normalised input. Asking for
// them changes nothing of what is fused: each is there anyway.
std::vector<NodeId> WhatStays(const Graph& traced) {
  const Graph optimized = Optimize(traced);
  std::vector<NodeId> ids;
  for (const Node& node : optimized.nodes) {
    if (!std::holds_alternative<InputOp>(node.op)) ids.push_back(Find(traced, node.name));
  }
  for (size_t i = 0; i < traced.nodes.size(); ++i) {
    const auto id = static_cast<NodeId>(i);
    const bool is_input = std::holds_alternative<NormalizeOp>(traced.nodes[i].op) ||
                          std::holds_alternative<InputOp>(traced.nodes[i].op);
    if (is_input && std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  }
  return ids;
}

}  // namespace

Calibrator::Calibrator(Graph graph, Backend& backend, const CompileOptions& options)
    : threads_(options.threads > 0 ? options.threads : std::max(1u, std::thread::hardware_concurrency())) {
  graph.outputs = WhatStays(graph);
  const std::vector<bool> non_negative = NonNegativeNodes(graph);
  for (NodeId id : graph.outputs) observed_.push_back({graph.nodes[id].name, non_negative[id], {}});
  plan_ = backend.Compile(std::move(graph), options);
  context_ = plan_->NewContext(plan_);
}

void Calibrator::Collect(const InputBatch& batch) {
  const std::lock_guard lock(mutex_);
  for (int64_t first = 0; first < batch.n; first += kImagesAtOnce) {
    CollectSome(PartOf(batch, first, std::min(kImagesAtOnce, batch.n - first)));
  }
}

void Calibrator::CollectSome(const InputBatch& batch) {
  const Graph& graph = plan_->graph();
  const auto shapes = InferShapes(graph, batch.n, batch.h, batch.w);
  RunRequest request;
  request.input = batch;
  values_.resize(graph.outputs.size());
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    values_[i].resize(static_cast<size_t>(shapes[graph.outputs[i]].elements()));
    request.outputs.push_back(values_[i].data());
  }
  std::promise<void> finished;
  context_->Run(request, [&](std::exception_ptr error) {
    if (error) {
      finished.set_exception(error);
    } else {
      finished.set_value();
    }
  });
  finished.get_future().get();

  std::atomic<size_t> next{0}, first_wrong{std::numeric_limits<size_t>::max()};
  const auto count = [&] {
    for (size_t i = next++; i < observed_.size(); i = next++) {
      if (observed_[i].histogram.Add(values_[i].data(), static_cast<int64_t>(values_[i].size()))) continue;
      for (size_t seen = first_wrong; i < seen && !first_wrong.compare_exchange_weak(seen, i);) continue;
    }
  };
  std::vector<std::thread> helpers;
  for (int i = 1; i < threads_; ++i) helpers.emplace_back(count);
  count();
  for (std::thread& helper : helpers) helper.join();
  images_ += batch.n;
  if (first_wrong < observed_.size()) {
    throw Error(ErrorCode::kInvalidArgument,
                "the calibration images make node \"" + observed_[first_wrong].node +
                    "\" NaN or infinite: look for NaN in the images or in the weights");
  }
}

std::vector<Calibrator::NodeScale> Calibrator::Scales(CalibrationMethod method, double percentile) const {
  const std::lock_guard lock(mutex_);
  if (images_ == 0) throw Error(ErrorCode::kInvalidArgument, "calibration needs at least one image");
  std::vector<NodeScale> scales;
  for (const Observed& observed : observed_) {
    const int levels = observed.non_negative ? 255 : kSignedZeroPoint - 1;
    const double range = observed.histogram.Range(method, percentile, levels);
    const auto scale = static_cast<float>(range / levels);
    scales.push_back({observed.node, scale > 0 ? scale : 1.0f});  // 0 throughout has any scale
  }
  return scales;
}

}  // namespace resnet_native
