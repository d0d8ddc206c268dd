#pragma once

#include <compare>
#include <memory>
#include <vector>

#include "native/backends/cuda/kernel_chooser.h"
#include "native/backends/cuda/network.h"

namespace resnet_native::cuda {

// What a program is made for.
struct ProgramKey {
  int64_t n = 0, h = 0, w = 0;  // n: a bucket
  InputForm form;
  auto operator<=>(const ProgramKey&) const = default;
};

// A place in a context's device memory: bytes from its start.
using Place = size_t;

// One kernel and where its activations lie. Parameters are the network's.
struct Launch {
  std::shared_ptr<const Kernel> kernel;
  NodeId node = 0;
  Place x = 0, residual = 0, y = 0;
  bool has_residual = false;
  bool makes_output = false;  // of the node's result
};

// A network at one size of batch and images: the launches in order, and the layout of the memory that a
// context needs for them. Immutable; shared by the contexts. An activation and an output never share bytes
// with what is alive.
struct Program {
  ProgramKey key;
  size_t image_bytes = 0;  // of the input, which lies at the start of the memory
  std::vector<Launch> launches;
  struct Output {
    Place place = 0;
    size_t image_bytes = 0;  // float32, NCHW
  };
  std::vector<Output> outputs;  // of the graph, in order; one behind the other from `output_place` on
  Place output_place = 0;
  size_t output_bytes = 0;
  Place workspace = 0;  // of all kernels, in turn; the last of the memory
  size_t memory_bytes = 0;
};

// Throws kInvalidShape where the network cannot take the size, and what the chooser throws.
Program MakeProgram(const Network& network, const ProgramKey& key, KernelChooser& chooser, bool measure);

// The operands of a launch in the memory at `base`.
Operands OperandsOf(const Launch& launch, const Network& network, const Program& program, char* base);

}  // namespace resnet_native::cuda
