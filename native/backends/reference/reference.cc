#include <chrono>

#include "native/backend.h"
#include "native/backends/reference/kernels.h"
#include "native/graph/overloaded.h"
#include "native/graph/passes/passes.h"

namespace resnet_native {
namespace {

using reference::View;

// One run of one batch: the results of the nodes so far.
class Execution {
 public:
  Execution(const Graph& graph, const RunRequest& request)
      : graph_(graph),
        request_(request),
        shapes_(InferShapes(graph, request.input.n, request.input.h, request.input.w)),
        results_(graph.nodes.size()) {}

  void Run() {
    if (request_.step_ms) request_.step_ms->clear();
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (request_.cancelled && request_.cancelled->load())
        throw Error(ErrorCode::kAborted, "the run was cancelled");
      const auto start = std::chrono::steady_clock::now();
      RunNode(i);
      const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
      if (request_.step_ms) request_.step_ms->push_back(elapsed.count());
    }
    for (size_t i = 0; i < graph_.outputs.size(); ++i) {
      reference::StoreOutput(ResultOf(graph_.outputs[i]), request_.outputs[i]);
    }
  }

 private:
  View ResultOf(NodeId id) const { return {results_[id].data(), shapes_[id]}; }

  void RunNode(size_t i) {
    const Node& node = graph_.nodes[i];
    const TensorShape& shape = shapes_[i];
    results_[i].resize(shape.elements());
    float* y = results_[i].data();
    const auto x = [&](size_t input) { return ResultOf(node.inputs[input]); };
    std::visit(Overloaded{
                   [&](const InputOp&) { reference::LoadInput(request_.input, nullptr, y); },
                   [&](const NormalizeOp& op) { reference::LoadInput(request_.input, &op.affine, y); },
                   [&](const Conv2dOp& op) { RunConv(op, node, shape, y); },
                   [&](const BatchNormOp& op) { reference::BatchNorm(op, x(0), y); },
                   [&](const ReluOp&) { reference::Relu(x(0), y); },
                   [&](const MaxPool2dOp& op) { reference::MaxPool2d(op, x(0), shape, y); },
                   [&](const GlobalAvgPoolOp&) { reference::GlobalAvgPool(x(0), y); },
                   [&](const FlattenOp&) { reference::Flatten(x(0), y); },
                   [&](const LinearOp& op) { reference::Linear(op, x(0), y); },
                   [&](const AddOp& op) { reference::Add(op, x(0), x(1), y); },
                   [&](const ZeroPadShortcutOp& op) { reference::ZeroPadShortcut(op, x(0), shape, y); },
               },
               node.op);
  }

  void RunConv(const Conv2dOp& op, const Node& node, const TensorShape& shape, float* y) {
    std::vector<float> normalized;
    View x = ResultOf(node.inputs[0]);
    if (op.input_normalize) {
      normalized.resize(x.shape.elements());
      reference::LoadInput(request_.input, &*op.input_normalize, normalized.data());
      x.data = normalized.data();
    }
    reference::Conv2d(op, x, op.has_residual ? ResultOf(node.inputs[1]).data : nullptr, shape, y);
  }

  const Graph& graph_;
  const RunRequest& request_;
  const std::vector<TensorShape> shapes_;
  std::vector<std::vector<float>> results_;
};

// The weights may lie in memory that JavaScript can write to later.
void CopyWeight(Weight& weight) {
  if (!weight.empty()) weight = Weight::Own(std::vector<float>(weight.data, weight.data + weight.size));
}

void CopyWeights(Graph& graph) {
  for (Node& node : graph.nodes) {
    std::visit(Overloaded{
                   [](Conv2dOp& op) {
                     CopyWeight(op.filters.values);
                     CopyWeight(op.bias);
                   },
                   [](LinearOp& op) {
                     CopyWeight(op.weight);
                     CopyWeight(op.bias);
                   },
                   [](BatchNormOp& op) {
                     for (Weight* weight : {&op.weight, &op.bias, &op.running_mean, &op.running_var})
                       CopyWeight(*weight);
                   },
                   [](auto&) {},
               },
               node.op);
  }
}

class ReferencePlan final : public Plan {
 public:
  explicit ReferencePlan(Graph graph) : graph_(std::move(graph)) {}

  const Graph& graph() const override { return graph_; }
  int default_contexts() const override { return 1; }
  std::unique_ptr<Context> NewContext(std::shared_ptr<const Plan> self) const override;

  std::vector<StepInfo> Describe() const override {
    std::vector<StepInfo> steps;
    for (const Node& node : graph_.nodes) steps.push_back({node.name, OpName(node.op), "reference", 0});
    return steps;
  }

 private:
  const Graph graph_;
};

class ReferenceContext final : public Context {
 public:
  explicit ReferenceContext(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)) {}

  void Run(const RunRequest& request, Completion done) override {
    std::exception_ptr error;
    try {
      Execution(plan_->graph(), request).Run();
    } catch (const std::bad_alloc&) {
      error = std::make_exception_ptr(Error(ErrorCode::kOutOfMemory, "out of memory; use smaller batches"));
    } catch (...) {
      error = std::current_exception();
    }
    done(error);
  }

 private:
  const std::shared_ptr<const Plan> plan_;
};

std::unique_ptr<Context> ReferencePlan::NewContext(std::shared_ptr<const Plan> self) const {
  return std::make_unique<ReferenceContext>(std::move(self));
}

class ReferenceBackendImpl final : public Backend {
 public:
  std::vector<DeviceInfo> Devices() override {
    return {{"reference", "naive loops with sums in double, for tests", true, "scalar", {"float32"}, ""}};
  }

  // Only what no output needs is removed: the reference computes the network as it was written.
  std::shared_ptr<const Plan> Compile(Graph graph, const CompileOptions& options) override {
    if (options.dtype != DType::kFloat32) {
      throw Error(ErrorCode::kUnsupported, "the reference device computes in float32 only");
    }
    graph = EliminateDead(std::move(graph));
    CopyWeights(graph);
    return std::make_shared<ReferencePlan>(std::move(graph));
  }
};

}  // namespace

Backend& ReferenceBackend() {
  static ReferenceBackendImpl backend;
  return backend;
}

}  // namespace resnet_native
