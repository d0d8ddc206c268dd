#include "native/backends/cpu/conv_algorithm.h"

#include <algorithm>
#include <limits>

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
// What transformed filters may take beside the weights: so many times what those take, but not less and not
// more floats than these.
constexpr double kMostExtraFilters = 2;
constexpr double kLeastExtraFloats = (32 << 20) / sizeof(float),
                 kMostExtraFloats = (320 << 20) / sizeof(float);

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

// Of what the kernels read.
double FilterFloats(const Conv2dOp& op, ConvAlgorithm algorithm) {
  const int taps = op.window.kernel_h * op.window.kernel_w;
  const int positions = algorithm ? PointsOf(*algorithm) * PointsOf(*algorithm) : taps;
  return double{1} * positions * (op.in_channels / op.groups) * op.out_channels;
}

// Another algorithm for one of the convolutions, and how much time it loses for each float that it saves.
struct Downgrade {
  size_t conv = 0;
  ConvAlgorithm algorithm;
  double loss = std::numeric_limits<double>::infinity();
};

Downgrade LeastLoss(const std::vector<ConvResult>& convs, const std::vector<ConvAlgorithm>& chosen) {
  Downgrade best;
  for (size_t i = 0; i < convs.size(); ++i) {
    const auto& [op, y] = convs[i];
    if (!chosen[i]) continue;
    for (const ConvAlgorithm& other : AlgorithmsFor(*op, MemoryMode::kAuto)) {
      const double saved = FilterFloats(*op, chosen[i]) - FilterFloats(*op, other);
      const double loss = (CostOf(*op, y, other) - CostOf(*op, y, chosen[i])) / saved;
      if (saved > 0 && loss < best.loss) best = {i, other, loss};
    }
  }
  return best;
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

std::vector<ConvAlgorithm> CheapestAlgorithms(const std::vector<ConvResult>& convs, MemoryMode memory) {
  std::vector<ConvAlgorithm> chosen;
  double weights = 0, extra = 0;
  for (const auto& [op, y] : convs) {
    chosen.push_back(CheapestAlgorithm(*op, y, memory));
    weights += FilterFloats(*op, std::nullopt);
    extra += FilterFloats(*op, chosen.back()) - FilterFloats(*op, std::nullopt);
  }
  const double most_extra = std::clamp(kMostExtraFilters * weights, kLeastExtraFloats, kMostExtraFloats);
  while (extra > most_extra) {
    const auto [conv, algorithm, loss] = LeastLoss(convs, chosen);
    const Conv2dOp& op = *convs[conv].op;
    extra -= FilterFloats(op, chosen[conv]) - FilterFloats(op, algorithm);
    chosen[conv] = algorithm;
  }
  return chosen;
}

}  // namespace resnet_native::cpu
