#pragma once

#include <memory>
#include <vector>

#include "native/backend.h"
#include "native/backends/cpu/algorithm_chooser.h"
#include "native/backends/cpu/dispatch.h"
#include "native/backends/cpu/steps/step.h"

namespace resnet_native::cpu {

// A network compiled for this CPU: one step for each node of the graph. Immutable; shared by its contexts.
class CpuPlan final : public Plan {
 public:
  // `graph` has been through the passes. Its weights are released node by node as they are packed.
  // Throws kInvalidArgument for an entry of `options.plan` that cannot be had.
  CpuPlan(Graph graph, const KernelTable& kernels, int threads, const CompileOptions& options);

  const Graph& graph() const override { return graph_; }
  std::vector<StepInfo> Describe() const override;
  std::unique_ptr<Context> NewContext(std::shared_ptr<const Plan> self) const override;
  int default_contexts() const override { return 1; }

  int threads() const { return threads_; }
  // Whether a batch goes through the network in segments (segments.h). Tile units are so fast that
  // activations from memory would hold them up; for vector units weights that pass by more often would cost
  // more.
  bool in_segments() const { return in_segments_; }
  MemoryMode memory() const { return memory_; }
  // Null where a node needs none: its readers take the run's input themselves.
  const Step* StepOf(NodeId node) const { return steps_[node].get(); }
  // Of the node's result.
  DType TypeOf(NodeId node) const { return types_[node]; }
  size_t steps() const { return step_count_; }
  // Where a node's step stands among them.
  size_t StepIndexOf(NodeId node) const { return step_index_[node]; }
  const KernelTable& kernels() const { return kernels_; }

 private:
  // Whether a node's step can use one of several algorithms.
  bool HasAlgorithms(NodeId node) const;
  // Throws for a node that is not here or leaves no choice.
  void CheckHasAlgorithms(const std::string& node) const;
  // What the cost model takes for each node that has them, whose results have these shapes.
  std::vector<ConvAlgorithm> ModelledAlgorithms(const std::vector<TensorShape>& shapes,
                                                MemoryMode memory) const;

  Graph graph_;
  const int threads_;
  const KernelTable kernels_;
  const std::vector<DType> types_;
  const bool in_segments_;
  const MemoryMode memory_;
  std::vector<std::unique_ptr<Step>> steps_;
  std::vector<AlgorithmChoice> choices_;  // of each node
  std::vector<size_t> step_index_;
  size_t step_count_ = 0;
};

}  // namespace resnet_native::cpu
