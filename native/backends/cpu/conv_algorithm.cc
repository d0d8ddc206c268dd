#include "native/backends/cpu/conv_algorithm.h"

#include <algorithm>

#include "native/backends/cpu/arithmetic.h"

namespace resnet_native::cpu {
namespace {

// Below it the transforms cost more than the multiplications they save.
constexpr int kFewChannels = 16;
// What a core multiplies and adds in the time in which it gets a byte from memory: about the same on all
// machines with vector units. The filters of a whole network do not stay in any cache.
constexpr double kFlopsPerFilterByte = 16;
// What transforming one channel of a tile there, or back, costs beside multiplying.
constexpr double kTransformFlops[2] = {130, 380};

// The least time, in multiply-adds' flops, for filters that come from memory meanwhile.
double CostOf(double flops, double filter_floats) {
  return std::max(flops, filter_floats * sizeof(float) * kFlopsPerFilterByte);
}

double DirectCost(const Conv2dOp& op, const TensorShape& y) {
  const double filters = 9.0 * op.in_channels * op.out_channels;
  return CostOf(2 * filters * static_cast<double>(y.n * y.h * y.w), filters);
}

double WinogradCost(const Conv2dOp& op, const TensorShape& y, WinogradTile tile) {
  const int outputs = OutputsOf(tile), positions = PointsOf(tile) * PointsOf(tile);
  const auto tiles = static_cast<double>(y.n * CeilDiv(y.h, outputs) * CeilDiv(y.w, outputs));
  const double filters = double{1} * positions * op.in_channels * op.out_channels;
  const double transforms = kTransformFlops[static_cast<int>(tile)] * (op.in_channels + op.out_channels);
  return CostOf(tiles * (2 * filters + transforms), filters);
}

double CostOf(const Conv2dOp& op, const TensorShape& y, ConvAlgorithm algorithm) {
  return algorithm ? WinogradCost(op, y, *algorithm) : DirectCost(op, y);
}

bool IsForWinograd(const Conv2dOp& op) {
  const Window& window = op.window;
  return op.groups == 1 && window.kernel_h == 3 && window.kernel_w == 3 && window.stride_h == 1 &&
         window.stride_w == 1 && window.dilation_h == 1 && window.dilation_w == 1 &&
         op.in_channels >= kFewChannels && op.out_channels >= kFewChannels;
}

}  // namespace

std::string NameOf(ConvAlgorithm algorithm) {
  if (!algorithm) return "direct";
  const std::string size = std::to_string(OutputsOf(*algorithm));
  return "winograd " + size + "x" + size;
}

std::vector<ConvAlgorithm> AlgorithmsFor(const Conv2dOp& op, MemoryMode memory) {
  if (memory == MemoryMode::kLow || !IsForWinograd(op)) return {std::nullopt};
  return {std::nullopt, WinogradTile::kF2, WinogradTile::kF4};
}

ConvAlgorithm CheapestAlgorithm(const Conv2dOp& op, const TensorShape& y, MemoryMode memory) {
  const std::vector<ConvAlgorithm> algorithms = AlgorithmsFor(op, memory);
  return *std::min_element(algorithms.begin(), algorithms.end(), [&](ConvAlgorithm a, ConvAlgorithm b) {
    return CostOf(op, y, a) < CostOf(op, y, b);
  });
}

}  // namespace resnet_native::cpu
