#include "native/backends/cuda/program.h"

#include <algorithm>

#include "native/graph/memory_plan.h"

namespace resnet_native::cuda {
namespace {

size_t Aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// Lays the memory out as input, activations, outputs, workspace, and fills the launches in.
class ProgramBuilder {
 public:
  ProgramBuilder(const Network& network, const ProgramKey& key, KernelChooser& chooser, bool measure)
      : network_(network),
        graph_(network.graph()),
        chooser_(chooser),
        measure_(measure),
        shapes_(InferShapes(graph_, key.n, key.h, key.w)) {
    program_.key = key;
  }

  Program Build() {
    PlaceActivations();
    PlaceOutputs();
    for (NodeId node = 0; node < static_cast<NodeId>(graph_.nodes.size()); ++node) {
      if (!network_.HasStep(node)) continue;
      AddStep(node);
      AddOutputs(node);
    }
    program_.workspace = end_;
    program_.memory_bytes = end_ + Aligned(workspace_bytes_);
    return std::move(program_);
  }

 private:
  void PlaceActivations() {
    const ProgramKey& key = program_.key;
    const size_t channels = std::get<InputOp>(graph_.nodes[0].op).channels;
    program_.image_bytes = key.h * key.w * channels * ElementSize(key.form.dtype);
    end_ = Aligned(program_.image_bytes * key.n);
    std::vector<int64_t> bytes(graph_.nodes.size(), 0);
    for (NodeId node = 0; node < static_cast<NodeId>(bytes.size()); ++node) {
      if (network_.HasStep(node)) bytes[node] = network_.StoredBytes(node, shapes_[node]);
    }
    const MemoryPlan plan = PlanMemory(graph_, bytes, kAlignment);
    for (const int64_t offset : plan.offsets) places_.push_back(end_ + offset);
    end_ += plan.arena_bytes;
  }

  void PlaceOutputs() {
    program_.output_place = end_;
    for (const NodeId node : graph_.outputs) {
      const size_t image_bytes = shapes_[node].elements() / shapes_[node].n * sizeof(float);
      program_.outputs.push_back({end_, image_bytes});
      end_ += Aligned(image_bytes * shapes_[node].n);
    }
    program_.output_bytes = end_ - program_.output_place;
  }

  void AddStep(NodeId id) {
    const Node& node = graph_.nodes[id];
    Launch launch{KernelFor(network_.OperationOf(id, shapes_, program_.key.form)), id};
    launch.x = network_.ReadsInput(id) ? 0 : places_[node.inputs[0]];
    launch.has_residual = node.inputs.size() > 1;
    if (launch.has_residual) launch.residual = places_[node.inputs[1]];
    launch.y = places_[id];
    program_.launches.push_back(std::move(launch));
  }

  void AddOutputs(NodeId node) {
    for (size_t i = 0; i < graph_.outputs.size(); ++i) {
      if (graph_.outputs[i] != node) continue;
      Launch launch{KernelFor(network_.OutputOf(node, shapes_)), node};
      launch.x = places_[node];
      launch.y = program_.outputs[i].place;
      launch.makes_output = true;
      program_.launches.push_back(std::move(launch));
    }
  }

  std::shared_ptr<const Kernel> KernelFor(const Operation& operation) {
    auto kernel = chooser_.Choose(operation, measure_);
    workspace_bytes_ = std::max(workspace_bytes_, kernel->workspace_bytes());
    return kernel;
  }

  const Network& network_;
  const Graph& graph_;
  KernelChooser& chooser_;
  const bool measure_;
  const std::vector<TensorShape> shapes_;
  Program program_;
  std::vector<Place> places_;  // of each node's result
  Place end_ = 0;
  size_t workspace_bytes_ = 0;
};

}  // namespace

Program MakeProgram(const Network& network, const ProgramKey& key, KernelChooser& chooser, bool measure) {
  return ProgramBuilder(network, key, chooser, measure).Build();
}

Operands OperandsOf(const Launch& launch, const Network& network, const Program& program, char* base) {
  Operands operands =
      launch.makes_output ? network.OutputParametersOf(launch.node) : network.ParametersOf(launch.node);
  operands.x = base + launch.x;
  operands.residual = launch.has_residual ? base + launch.residual : nullptr;
  operands.y = base + launch.y;
  operands.workspace = base + program.workspace;
  return operands;
}

}  // namespace resnet_native::cuda
