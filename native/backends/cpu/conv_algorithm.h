#pragma once

#include <optional>
#include <string>
#include <vector>

#include "native/backend.h"
#include "native/graph/graph.h"

namespace resnet_native::cpu {

// The size of an output tile, F(2×2, 3×3) or F(4×4, 3×3): the index of its kernels.
enum class WinogradTile { kF2 = 0, kF4 = 1 };

inline int OutputsOf(WinogradTile tile) { return tile == WinogradTile::kF2 ? 2 : 4; }
inline int PointsOf(WinogradTile tile) { return OutputsOf(tile) + 2; }

// Winograd's with a tile, or the direct one.
using ConvAlgorithm = std::optional<WinogradTile>;

// "direct", "winograd 2x2", "winograd 4x4".
std::string NameOf(ConvAlgorithm algorithm);

// Those that can compute this convolution, the one whose filters take least memory, direct, first.
std::vector<ConvAlgorithm> AlgorithmsFor(const Conv2dOp& op, MemoryMode memory);

// The cost model: the algorithm that pays for a result of shape y. It compares multiplications with the bytes
// of the filters. Deterministic: the same network and options give the same bits.
ConvAlgorithm CheapestAlgorithm(const Conv2dOp& op, const TensorShape& y, MemoryMode memory);

// One of a network's convolutions, and the shape of its result.
struct ConvResult {
  const Conv2dOp* op;
  TensorShape y;
};

// The same for all convolutions of a network together: where transformed filters would take more than twice
// the memory of all weights beside what these take themselves, those that are worth least time for their
// memory give way to smaller ones. Small networks may always take 32 MB.
std::vector<ConvAlgorithm> CheapestAlgorithms(const std::vector<ConvResult>& convs, MemoryMode memory);

}  // namespace resnet_native::cpu
