#pragma once

#include <vector>

#include "native/backends/cpu/steps/step.h"
#include "native/backends/cpu/winograd.h"

namespace resnet_native::cpu {

// A 3×3 convolution of stride 1 by Winograd's algorithm: tiles of the image are transformed, multiplied with
// the transformed filters position by position (each a matrix product, done by the convolution micro-kernels)
// and transformed back. F(4×4) needs a quarter of the multiplications, F(2×2) four ninths.
class WinogradStep final : public Step {
 public:
  // `op` is a convolution of one group with 3×3 filters, stride 1 and no dilation.
  // `dtype` is that of the activations; what lies between the transforms is float32.
  WinogradStep(const Conv2dOp& op, WinogradTile tile, DType dtype, const StepOptions& options);

  void Run(const StepRun& run) const override;
  std::string Kernel() const override;
  int64_t Macs(const TensorShape& y) const override;
  size_t ScratchBytes(const TensorShape& x, const TensorShape& y, int threads) const override;

 private:
  struct Block;
  Block BlockOf(float* memory, int64_t first, int64_t last) const;
  int64_t BlocksOf(const TensorShape& y, int threads) const;
  bool RunsTogether(const TensorShape& y, int threads) const;
  int64_t TileBytes() const;
  size_t BlockBytes(int64_t tiles) const;
  void RunBlocks(const StepRun& run) const;
  void RunTogether(const StepRun& run) const;
  void TransformInput(const StepRun& run, const Block& block, int64_t tile) const;
  void Multiply(const Block& block, int position, int64_t panel) const;
  void TransformOutput(const StepRun& run, const Block& block, int64_t tile) const;

  const int pad_h_, pad_w_;
  const bool relu_;
  const std::string isa_;
  const WinogradKernels& kernels_;
  const WinogradFilters filters_;
  const std::vector<float> zeros_;  // a pixel of the padding, and the bias of the products
};

}  // namespace resnet_native::cpu
