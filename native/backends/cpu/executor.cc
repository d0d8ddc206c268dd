#include "native/backends/cpu/executor.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <system_error>

#include "native/backends/cpu/arithmetic.h"
#include "native/backends/cpu/cpu_info.h"
#include "native/backends/cpu/steps/nchw.h"

namespace resnet_native::cpu {
namespace {

constexpr size_t kMaxLayouts = 8;
// Of activations. Enough for so many images that reading all weights again for the next ones costs nothing
// that can be measured.
constexpr int64_t kArenaBytes = 128 << 20;
// Where memory counts more than speed: little beside the weights of any network.
constexpr int64_t kLowArenaBytes = 8 << 20;

}  // namespace

Executor::Executor(std::shared_ptr<const CpuPlan> plan) : plan_(std::move(plan)), pool_(plan_->threads()) {}

void Executor::Run(const RunRequest& request) {
  const Graph& graph = plan_->graph();
  CheckRequest(graph, request);
  const Layout& layout = LayoutFor(request.input);
  const size_t bytes = layout.memory.arena_bytes + layout.scratch_bytes * pool_.threads();
  if (memory_.size() < bytes) {
    memory_ = AlignedBuffer();  // not both at once
    memory_ = AlignedBuffer(bytes);
  }
  if (request.step_ms) request.step_ms->assign(plan_->steps(), 0.0);
  for (const Segment& segment : layout.segments) {
    for (int64_t first = 0; first < layout.n; first += segment.images) {
      const Images images{first, std::min(segment.images, layout.n - first)};
      for (NodeId node = segment.first; node < segment.last; ++node) RunNode(node, images, layout, request);
    }
  }
}

void Executor::RunNode(NodeId node, const Images& images, const Layout& layout, const RunRequest& request) {
  if (!plan_->StepOf(node)) return;
  if (request.cancelled && request.cancelled->load()) {
    throw Error(ErrorCode::kAborted, "the run was cancelled");
  }
  const auto start = std::chrono::steady_clock::now();
  RunStep(node, images, layout, request);
  StoreOutputs(node, images, layout, request);
  const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
  if (request.step_ms) (*request.step_ms)[plan_->StepIndexOf(node)] += elapsed.count();
}

const Executor::Layout& Executor::LayoutFor(const InputBatch& input) {
  const auto known = std::find_if(layouts_.begin(), layouts_.end(), [&](const Layout& layout) {
    return layout.n == input.n && layout.h == input.h && layout.w == input.w;
  });
  if (known != layouts_.end()) {
    layouts_.splice(layouts_.begin(), layouts_, known);
    return layouts_.front();
  }
  Layout layout{input.n, input.h, input.w, InferShapes(plan_->graph(), input.n, input.h, input.w),
                {},      {},      {},      0};
  PlanMemoryOf(layout);
  layouts_.push_front(std::move(layout));
  if (layouts_.size() > kMaxLayouts) layouts_.pop_back();
  return layouts_.front();
}

void Executor::PlanMemoryOf(Layout& layout) const {
  const Graph& graph = plan_->graph();
  const auto nodes = static_cast<NodeId>(graph.nodes.size());
  std::vector<int64_t> bytes(nodes, 0);
  for (NodeId i = 0; i < nodes; ++i) {
    if (plan_->StepOf(i)) bytes[i] = layout.shapes[i].elements() * ElementBytes(plan_->TypeOf(i));
  }
  layout.segments = SegmentsOf(bytes, layout.n);
  layout.crosses = CrossingResults(graph, layout.segments);
  for (const Segment& segment : layout.segments) {
    for (NodeId i = segment.first; i < segment.last; ++i) {
      if (!layout.crosses[i]) bytes[i] = bytes[i] / layout.n * segment.images;
      for (int64_t images : {segment.images, layout.n % segment.images}) {
        layout.scratch_bytes = std::max(layout.scratch_bytes, ScratchBytes(i, layout, images));
      }
    }
  }
  layout.memory = PlanMemory(LifetimesIn(graph, layout.segments), bytes, kCacheLine);
}

std::vector<Segment> Executor::SegmentsOf(const std::vector<int64_t>& bytes, int64_t n) const {
  const Graph& graph = plan_->graph();
  if (plan_->memory() == MemoryMode::kLow) return WholeNetworkWithin(graph, bytes, n, kLowArenaBytes);
  const int64_t caches = static_cast<int64_t>(Caches().l2) * pool_.threads();
  if (plan_->in_segments()) return MakeSegments(graph, bytes, n, caches);
  return WholeNetworkWithin(graph, bytes, n, kArenaBytes);
}

size_t Executor::ScratchBytes(NodeId node, const Layout& layout, int64_t images) const {
  const Step* step = plan_->StepOf(node);
  if (!step || images == 0) return 0;
  const std::vector<NodeId>& inputs = plan_->graph().nodes[node].inputs;
  TensorShape x = layout.shapes[inputs.empty() ? node : inputs[0]], y = layout.shapes[node];
  x.n = y.n = images;
  const auto bytes = static_cast<int64_t>(step->ScratchBytes(x, y, pool_.threads()));
  return static_cast<size_t>(RoundUp(bytes, kCacheLine));
}

TensorView Executor::ViewOf(NodeId node, const Images& images, const Layout& layout) {
  TensorView view{memory_.data() + layout.memory.offsets[node], layout.shapes[node], plan_->TypeOf(node)};
  if (layout.crosses[node]) view.data = view.At(view.shape.elements() / layout.n * images.first);
  view.shape.n = images.count;
  return view;
}

void Executor::RunStep(NodeId id, const Images& images, const Layout& layout, const RunRequest& request) {
  const Node& node = plan_->graph().nodes[id];
  const InputBatch input = PartOf(request.input, images.first, images.count);
  StepRun run{input, {}, {}, ViewOf(id, images, layout), pool_, {}};
  if (!node.inputs.empty()) run.x = ViewOf(node.inputs[0], images, layout);
  if (node.inputs.size() > 1) run.residual = ViewOf(node.inputs[1], images, layout);
  run.scratch = {memory_.data() + layout.memory.arena_bytes, layout.scratch_bytes};
  plan_->StepOf(id)->Run(run);
}

void Executor::StoreOutputs(NodeId node, const Images& images, const Layout& layout,
                            const RunRequest& request) {
  const std::vector<NodeId>& outputs = plan_->graph().outputs;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] != node) continue;
    const TensorView result = ViewOf(node, images, layout);
    float* to = request.outputs[i] + result.shape.elements() / images.count * images.first;
    StoreNchw(plan_->kernels(), result, plan_->graph().nodes[node].quantization, pool_, to);
  }
}

std::exception_ptr TranslateException(const char* needed_for) {
  try {
    throw;
  } catch (const Error&) {
    return std::current_exception();
  } catch (const std::bad_alloc&) {
    return std::make_exception_ptr(
        Error(ErrorCode::kOutOfMemory, std::string("not enough memory for ") + needed_for));
  } catch (const std::system_error& error) {
    return std::make_exception_ptr(
        Error(ErrorCode::kOutOfMemory, std::string("the system grants no more threads: ") + error.what()));
  } catch (const std::exception& error) {
    return std::make_exception_ptr(Error(ErrorCode::kInternal, error.what()));
  }
}

}  // namespace resnet_native::cpu
