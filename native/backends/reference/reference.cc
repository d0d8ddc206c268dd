#include "native/backend.h"
#include "native/backends/reference/execution.h"
#include "native/graph/overloaded.h"
#include "native/graph/passes/passes.h"

namespace resnet_native {
namespace {

// The weights may lie in memory that JavaScript can write to later.
void CopyWeight(Weight& weight) {
  if (!weight.empty()) weight = Weight::Own(std::vector<float>(weight.data, weight.data + weight.size));
}

void CopyWeight(WeightSource& source) {
  Weight weight = source.Read();
  CopyWeight(weight);
  source = weight;
}

void CopyWeights(Graph& graph) {
  for (Node& node : graph.nodes) {
    std::visit(Overloaded{
                   [](Conv2dOp& op) {
                     CopyWeight(op.filters.values);
                     CopyWeight(op.bias);
                   },
                   [](LinearOp& op) {
                     CopyWeight(op.filters.values);
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
  explicit ReferencePlan(Graph graph)
      : graph_(std::move(graph)), int8_layers_(reference::MakeInt8Layers(graph_)) {}

  const Graph& graph() const override { return graph_; }
  const std::vector<reference::Int8Layer>& int8_layers() const { return int8_layers_; }
  int default_contexts() const override { return 1; }
  std::unique_ptr<Context> NewContext(std::shared_ptr<const Plan> self) const override;

  std::vector<StepInfo> Describe() const override {
    std::vector<StepInfo> steps;
    for (const Node& node : graph_.nodes) steps.push_back({node.name, OpName(node.op), "reference", 0});
    return steps;
  }

 private:
  const Graph graph_;
  const std::vector<reference::Int8Layer> int8_layers_;
};

class ReferenceContext final : public Context {
 public:
  explicit ReferenceContext(std::shared_ptr<const ReferencePlan> plan) : plan_(std::move(plan)) {}

  void Run(const RunRequest& request, Completion done) override {
    std::exception_ptr error;
    try {
      reference::Execute(plan_->graph(), plan_->int8_layers(), request);
    } catch (const std::bad_alloc&) {
      error = std::make_exception_ptr(Error(ErrorCode::kOutOfMemory, "out of memory; use smaller batches"));
    } catch (...) {
      error = std::current_exception();
    }
    done(error);
  }

 private:
  const std::shared_ptr<const ReferencePlan> plan_;
};

std::unique_ptr<Context> ReferencePlan::NewContext(std::shared_ptr<const Plan> self) const {
  return std::make_unique<ReferenceContext>(std::static_pointer_cast<const ReferencePlan>(std::move(self)));
}

class ReferenceBackendImpl final : public Backend {
 public:
  std::vector<DeviceInfo> Devices() override {
    return {
        {"reference", "naive loops with sums in double, for tests", true, "scalar", {"float32", "int8"}, ""}};
  }

  // Only what no output needs is removed: the reference computes the network as it was written. Which values
  // int8 rounds depends on what is fused, so there the passes are those of every backend.
  std::shared_ptr<const Plan> Compile(Graph graph, const CompileOptions& options) override {
    if (options.dtype != DType::kFloat32 && options.dtype != DType::kInt8) {
      throw Error(ErrorCode::kUnsupported, "the reference device computes in float32 and int8 only");
    }
    const bool int8 = options.dtype == DType::kInt8;
    graph = int8 ? Quantize(Optimize(std::move(graph))) : EliminateDead(std::move(graph));
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
