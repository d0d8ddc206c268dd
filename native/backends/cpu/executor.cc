#include "native/backends/cpu/executor.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <system_error>

#include "native/backends/cpu/arithmetic.h"
#include "native/backends/cpu/steps/elementwise_steps.h"
#include "native/backends/cpu/steps/int8_steps.h"

namespace resnet_native::cpu {
namespace {

constexpr size_t kMaxLayouts = 8;

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
  if (request.step_ms) request.step_ms->clear();
  for (NodeId node = 0; node < static_cast<NodeId>(graph.nodes.size()); ++node) {
    if (!plan_->StepOf(node)) continue;
    if (request.cancelled && request.cancelled->load())
      throw Error(ErrorCode::kAborted, "the run was cancelled");
    const auto start = std::chrono::steady_clock::now();
    RunStep(node, layout, request);
    StoreOutputs(node, layout, request);
    const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
    if (request.step_ms) request.step_ms->push_back(elapsed.count());
  }
}

const Executor::Layout& Executor::LayoutFor(const InputBatch& input) {
  const auto known = std::find_if(layouts_.begin(), layouts_.end(), [&](const Layout& layout) {
    return layout.n == input.n && layout.h == input.h && layout.w == input.w;
  });
  if (known != layouts_.end()) {
    layouts_.splice(layouts_.begin(), layouts_, known);
    return layouts_.front();
  }
  const Graph& graph = plan_->graph();
  Layout layout{input.n, input.h, input.w, InferShapes(graph, input.n, input.h, input.w), {}, 0};
  std::vector<int64_t> bytes(graph.nodes.size(), 0);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Step* step = plan_->StepOf(static_cast<NodeId>(i));
    if (!step) continue;
    bytes[i] = layout.shapes[i].elements() * ElementBytes(plan_->TypeOf(static_cast<NodeId>(i)));
    const TensorShape& x = layout.shapes[i == 0 ? 0 : graph.nodes[i].inputs[0]];
    const auto scratch = static_cast<int64_t>(step->ScratchBytes(x, layout.shapes[i], pool_.threads()));
    layout.scratch_bytes = std::max(layout.scratch_bytes, static_cast<size_t>(RoundUp(scratch, kCacheLine)));
  }
  layout.memory = PlanMemory(graph, bytes, kCacheLine);
  layouts_.push_front(std::move(layout));
  if (layouts_.size() > kMaxLayouts) layouts_.pop_back();
  return layouts_.front();
}

TensorView Executor::ViewOf(NodeId node, const Layout& layout) {
  return {memory_.data() + layout.memory.offsets[node], layout.shapes[node], plan_->TypeOf(node)};
}

void Executor::RunStep(NodeId id, const Layout& layout, const RunRequest& request) {
  const Node& node = plan_->graph().nodes[id];
  StepRun run{request.input, {}, {}, ViewOf(id, layout), pool_, {}};
  if (!node.inputs.empty()) run.x = ViewOf(node.inputs[0], layout);
  if (node.inputs.size() > 1) run.residual = ViewOf(node.inputs[1], layout);
  run.scratch = {memory_.data() + layout.memory.arena_bytes, layout.scratch_bytes};
  plan_->StepOf(id)->Run(run);
}

void Executor::StoreOutputs(NodeId node, const Layout& layout, const RunRequest& request) {
  const std::vector<NodeId>& outputs = plan_->graph().outputs;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] != node) continue;
    const TensorView result = ViewOf(node, layout);
    const KernelTable& kernels = plan_->kernels();
    if (const auto& quantization = plan_->graph().nodes[node].quantization) {
      StoreDequantizedNchw(kernels, result, *quantization, pool_, request.outputs[i]);
    } else {
      StoreNchw(*kernels[result.dtype].elementwise, result, pool_, request.outputs[i]);
    }
  }
}

std::exception_ptr TranslateException() {
  try {
    throw;
  } catch (const Error&) {
    return std::current_exception();
  } catch (const std::bad_alloc&) {
    return std::make_exception_ptr(
        Error(ErrorCode::kOutOfMemory,
              "not enough memory for the activations of this batch; use fewer or smaller images"));
  } catch (const std::system_error& error) {
    return std::make_exception_ptr(
        Error(ErrorCode::kOutOfMemory, std::string("the system grants no more threads: ") + error.what()));
  } catch (const std::exception& error) {
    return std::make_exception_ptr(Error(ErrorCode::kInternal, error.what()));
  }
}

}  // namespace resnet_native::cpu
