#pragma once

#include <optional>

#include "native/backends/cpu/steps/step.h"
#include "native/graph/quantization.h"

// Activations in NCHW order, as users get them and as fully connected layers read them.

namespace resnet_native::cpu {

// Elements as they are, in the order that torch flattens them in.
class FlattenStep final : public Step {
 public:
  void Run(const StepRun& run) const override;
  std::string Kernel() const override { return "nhwc to nchw"; }
};

// Copies an activation to y as float32; bytes are what `quantization` says.
void StoreNchw(const KernelTable& kernels, const TensorView& x,
               const std::optional<Quantization>& quantization, ThreadPool& pool, float* y);

}  // namespace resnet_native::cpu
