#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "native/backend.h"
#include "native/backends/cpu/conv_algorithm.h"
#include "native/backends/cpu/steps/step.h"
#include "native/choice_file.h"

namespace resnet_native::cpu {

struct AlgorithmChoice {
  ConvAlgorithm algorithm;
  std::string reason;  // for people; empty where there is nothing to choose
};

// The milliseconds of a step that makes y of x, of these types, with a residual or without.
using StepTimer = std::function<double(const Step& step, const TensorShape& x, const TensorShape& y,
                                       DType dtype, bool has_residual)>;

// Picks the algorithm of each convolution: the one that a plan made earlier has, else by measuring or by the
// cost model, as the options want it. What was measured is remembered, so that the same machine gives the
// same plan again.
class AlgorithmChooser {
 public:
  // `isa` and `threads` are what the machine's choices depend on beside the machine.
  AlgorithmChooser(const CompileOptions& options, const std::string& isa, int threads, StepTimer timer);

  // For a node whose result has shape y; `step_options` has the algorithm of the cost model. Throws
  // kInvalidArgument for a plan's algorithm that this convolution cannot have.
  AlgorithmChoice Choose(const std::string& node, const Conv2dOp& op, TensorShape y, DType dtype,
                         const StepOptions& step_options);

 private:
  AlgorithmChoice Measure(const Conv2dOp& op, const TensorShape& y, DType dtype,
                          const std::vector<ConvAlgorithm>& algorithms, StepOptions step_options);

  const MemoryMode memory_;
  const Autotune autotune_;
  const StepTimer timer_;
  std::map<std::string, std::string> planned_;  // by node
  ChoiceFile remembered_;
};

// Times steps with weights and input that no core's own cache holds, as it is in a network: the median of
// `rounds`.
StepTimer ColdTimer(ThreadPool& pool, int rounds);
int RoundsOf(Autotune autotune);

}  // namespace resnet_native::cpu
