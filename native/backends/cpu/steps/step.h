#pragma once

#include <memory>
#include <string>

#include "native/backend.h"
#include "native/backends/cpu/conv_algorithm.h"
#include "native/backends/cpu/dispatch.h"
#include "native/backends/cpu/tensor_view.h"
#include "native/backends/cpu/thread_pool.h"
#include "native/graph/graph.h"
#include "native/tensor.h"

namespace resnet_native::cpu {

// Memory that a step may use while it runs: as many bytes as it asked for, for each thread.
struct Scratch {
  char* data = nullptr;
  size_t bytes_per_thread = 0;

  template <class T>
  T* Of(int thread) const {
    return reinterpret_cast<T*>(data + thread * bytes_per_thread);
  }
};

// What one execution of a step works on. `x` and `residual` are results of earlier nodes; a step that reads
// the run's input takes it from `input`.
struct StepRun {
  const InputBatch& input;
  TensorView x, residual, y;
  ThreadPool& pool;
  Scratch scratch;

  // The same, with y and the residual from this pixel on.
  StepRun From(int64_t pixel) const {
    const int64_t begin = pixel * y.shape.c;
    return {input, x, residual.From(begin), y.From(begin), pool, scratch};
  }
};

// One operation of a compiled network. It owns its packed weights and is immutable: all contexts of a plan
// share it.
class Step {
 public:
  virtual ~Step() = default;

  virtual void Run(const StepRun& run) const = 0;

  // The kernel that was chosen, for people.
  virtual std::string Kernel() const = 0;
  // Multiply-adds for a result of shape y; of a convolution, before it is pooled.
  virtual int64_t Macs(const TensorShape& /*y*/) const { return 0; }
  // What each thread needs while the step runs.
  virtual size_t ScratchBytes(const TensorShape& /*x*/, const TensorShape& /*y*/, int /*threads*/) const {
    return 0;
  }
};

// The data types of a step's activations.
struct StepTypes {
  DType x = DType::kFloat32;  // of the residual too; what a step makes of the run's input has y's
  DType y = DType::kFloat32;
};

// What compiling a step needs.
struct StepOptions {
  const KernelTable& kernels;
  ThreadPool& pool;              // for packing
  ConvAlgorithm algorithm = {};  // of a convolution that has the choice
};

// Whether a node of a quantised graph reads bytes or makes them. Then MakeInt8Step is for it.
bool WorksOnBytes(const Graph& graph, NodeId id);

// The step for such a node. Throws kInvalidArgument for weights that are no numbers.
std::unique_ptr<Step> MakeInt8Step(const Graph& graph, NodeId id, const StepOptions& options);

// The step for any other operation. `from_input`: its first input is the run's input, not an activation; only
// convolutions, InputOp and NormalizeOp can read that.
std::unique_ptr<Step> MakeStep(const Op& op, bool from_input, const StepTypes& types,
                               const StepOptions& options);

}  // namespace resnet_native::cpu
