#include "native/backends/cpu/plan.h"

#include <algorithm>

#include "native/backends/cpu/context.h"
#include "native/backends/cpu/value_types.h"

namespace resnet_native::cpu {
namespace {

// Convolutions and the normalisation read the run's input as it is; for anything else it becomes an
// activation.
bool ReadsInputItself(const Node& node, size_t operand) {
  return operand == 0 && node.inputs[0] == 0 &&
         (std::holds_alternative<Conv2dOp>(node.op) || std::holds_alternative<NormalizeOp>(node.op) ||
          std::holds_alternative<QuantizeOp>(node.op));
}

bool NeedsInputStep(const Graph& graph) {
  if (std::find(graph.outputs.begin(), graph.outputs.end(), 0) != graph.outputs.end()) return true;
  for (const Node& node : graph.nodes) {
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] == 0 && !ReadsInputItself(node, i)) return true;
    }
  }
  return false;
}

// The shapes for images of 224 × 224, empty if the network does not take that size.
std::vector<TensorShape> UsualShapes(const Graph& graph, int64_t images) {
  try {
    return InferShapes(graph, images, 224, 224);
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

CpuPlan::CpuPlan(Graph graph, const KernelTable& kernels, int threads, const CompileOptions& options)
    : graph_(std::move(graph)),
      threads_(threads),
      kernels_(kernels),
      types_(ResultTypes(graph_, options.dtype)),
      in_segments_(kernels[options.dtype].tiles != nullptr),
      steps_(graph_.nodes.size()),
      step_index_(graph_.nodes.size(), 0) {
  ThreadPool pool(threads);
  const std::vector<TensorShape> usual = UsualShapes(graph_, options.max_batch);
  StepOptions step_options{kernels_, pool, options.memory, {}};
  for (size_t i = NeedsInputStep(graph_) ? 0 : 1; i < graph_.nodes.size(); ++i) {
    Node& node = graph_.nodes[i];
    step_options.usual_y = usual.empty() ? TensorShape{options.max_batch, 14, 14} : usual[i];
    const StepTypes types{types_[i == 0 ? 0 : node.inputs[0]], types_[i]};
    const auto id = static_cast<NodeId>(i);
    steps_[i] = WorksOnBytes(graph_, id)
                    ? MakeInt8Step(graph_, id, step_options)
                    : MakeStep(node.op, i > 0 && ReadsInputItself(node, 0), types, step_options);
    ReleaseWeights(node.op);
    step_index_[i] = step_count_++;
  }
}

std::vector<StepInfo> CpuPlan::Describe() const {
  const std::vector<TensorShape> shapes = UsualShapes(graph_, 1);
  std::vector<StepInfo> infos;
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (!steps_[i]) continue;
    const Node& node = graph_.nodes[i];
    const int64_t macs = shapes.empty() ? 0 : steps_[i]->Macs(shapes[i]);
    infos.push_back({node.name, OpName(node.op), steps_[i]->Kernel(), macs});
  }
  return infos;
}

std::unique_ptr<Context> CpuPlan::NewContext(std::shared_ptr<const Plan> self) const {
  return std::make_unique<CpuContext>(std::static_pointer_cast<const CpuPlan>(std::move(self)));
}

}  // namespace resnet_native::cpu
