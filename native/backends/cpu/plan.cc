#include "native/backends/cpu/plan.h"

#include <algorithm>

#include "native/backends/cpu/context.h"
#include "native/backends/cpu/value_types.h"

namespace resnet_native::cpu {
namespace {

constexpr int kUsualSize = 224;

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

// The shapes for images of this size, empty if the network does not take it.
std::vector<TensorShape> ShapesFor(const Graph& graph, int64_t images, int64_t height, int64_t width) {
  try {
    return InferShapes(graph, images, height, width);
  } catch (const Error&) {
    return {};
  }
}

// What choices of algorithms look at: the results for the largest batch, of images of the usual size or, to
// be measured, of the size that is prepared for.
std::vector<TensorShape> UsualShapes(const Graph& graph, const CompileOptions& options) {
  const bool measured = options.autotune != Autotune::kOff;
  const int height = measured && options.height > 0 ? options.height : kUsualSize;
  const int width = measured && options.width > 0 ? options.width : kUsualSize;
  std::vector<TensorShape> shapes = ShapesFor(graph, options.max_batch, height, width);
  if (shapes.empty()) shapes.assign(graph.nodes.size(), {options.max_batch, 14, 14});
  return shapes;
}

}  // namespace

CpuPlan::CpuPlan(Graph graph, const KernelTable& kernels, int threads, const CompileOptions& options)
    : graph_(std::move(graph)),
      threads_(threads),
      kernels_(kernels),
      types_(ResultTypes(graph_, options.dtype)),
      in_segments_(kernels[options.dtype].tiles != nullptr),
      memory_(options.memory),
      steps_(graph_.nodes.size()),
      choices_(graph_.nodes.size()),
      step_index_(graph_.nodes.size(), 0) {
  for (const auto& [node, algorithm] : options.plan) CheckHasAlgorithms(node);
  ThreadPool pool(threads);
  AlgorithmChooser chooser(options, kernels[DType::kFloat32].conv->isa, threads,
                           ColdTimer(pool, RoundsOf(options.autotune)));
  const std::vector<TensorShape> usual = UsualShapes(graph_, options);
  const std::vector<ConvAlgorithm> modelled = ModelledAlgorithms(usual, options.memory);
  StepOptions step_options{kernels_, pool};
  for (size_t i = NeedsInputStep(graph_) ? 0 : 1; i < graph_.nodes.size(); ++i) {
    Node& node = graph_.nodes[i];
    const StepTypes types{types_[i == 0 ? 0 : node.inputs[0]], types_[i]};
    const auto id = static_cast<NodeId>(i);
    step_options.algorithm = modelled[i];
    if (HasAlgorithms(id)) {
      choices_[i] = chooser.Choose(node.name, std::get<Conv2dOp>(node.op), usual[i], types.x, step_options);
    }
    step_options.algorithm = choices_[i].algorithm;
    steps_[i] = WorksOnBytes(graph_, id)
                    ? MakeInt8Step(graph_, id, step_options)
                    : MakeStep(node.op, i > 0 && ReadsInputItself(node, 0), types, step_options);
    ReleaseWeights(node.op);
    step_index_[i] = step_count_++;
  }
}

std::vector<ConvAlgorithm> CpuPlan::ModelledAlgorithms(const std::vector<TensorShape>& shapes,
                                                       MemoryMode memory) const {
  std::vector<ConvResult> convs;
  std::vector<size_t> nodes;
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    if (!HasAlgorithms(static_cast<NodeId>(i))) continue;
    convs.push_back({&std::get<Conv2dOp>(graph_.nodes[i].op), shapes[i]});
    nodes.push_back(i);
  }
  const std::vector<ConvAlgorithm> chosen = CheapestAlgorithms(convs, memory);
  std::vector<ConvAlgorithm> modelled(graph_.nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) modelled[nodes[i]] = chosen[i];
  return modelled;
}

bool CpuPlan::HasAlgorithms(NodeId id) const {
  const Node& node = graph_.nodes[id];
  return std::holds_alternative<Conv2dOp>(node.op) && !ReadsInputItself(node, 0) &&
         !WorksOnBytes(graph_, id) && !kernels_[types_[id]].tiles;
}

void CpuPlan::CheckHasAlgorithms(const std::string& name) const {
  std::string those_that_have;
  for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); ++id) {
    if (!HasAlgorithms(id)) continue;
    if (graph_.nodes[id].name == name) return;
    those_that_have += (those_that_have.empty() ? "" : ", ") + graph_.nodes[id].name;
  }
  throw Error(ErrorCode::kInvalidArgument,
              "the plan has an algorithm for " + name + ", but here only these steps leave a choice: " +
                  (those_that_have.empty() ? "none" : those_that_have) +
                  "; expected the plan of a session with the same network, dtype and outputs, on a machine "
                  "with the same instruction set");
}

std::vector<StepInfo> CpuPlan::Describe() const {
  const std::vector<TensorShape> shapes = ShapesFor(graph_, 1, kUsualSize, kUsualSize);
  std::vector<StepInfo> infos;
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (!steps_[i]) continue;
    const Node& node = graph_.nodes[i];
    const auto* conv = std::get_if<Conv2dOp>(&node.op);
    const int64_t macs =
        shapes.empty() ? 0 : steps_[i]->Macs(conv ? conv->ConvolvedShape(shapes[node.inputs[0]]) : shapes[i]);
    const bool chosen = !choices_[i].reason.empty();
    infos.push_back({node.name, OpName(node.op), steps_[i]->Kernel(), macs,
                     chosen ? NameOf(choices_[i].algorithm) : "", choices_[i].reason});
  }
  return infos;
}

std::unique_ptr<Context> CpuPlan::NewContext(std::shared_ptr<const Plan> self) const {
  return std::make_unique<CpuContext>(std::static_pointer_cast<const CpuPlan>(std::move(self)));
}

}  // namespace resnet_native::cpu
