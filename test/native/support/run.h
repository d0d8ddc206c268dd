#pragma once

#include <vector>

#include "native/backend.h"

namespace resnet_native::testing {

// An input batch with memory of its own: float32 in [-1, 1) or, if `bytes`, uint8.
struct OwnedInput {
  TensorShape shape;
  std::vector<float> floats;
  std::vector<uint8_t> bytes;
  mutable std::vector<const void*> images = {};  // what Batch() points to, until the data is moved or resized

  InputBatch Batch(Layout layout = Layout::kNhwc) const;
};

OwnedInput RandomInput(const TensorShape& shape, bool bytes = false, uint32_t seed = 7);

// Compiles, runs once and waits. Results in the graph's order of outputs, NCHW. Throws what compile or the
// run threw.
std::vector<std::vector<float>> RunGraph(Backend& backend, const Graph& graph, const OwnedInput& input,
                                         const CompileOptions& options = {}, Layout layout = Layout::kNhwc);

// Runs one batch on a context and waits; throws what the run threw.
void RunAndWait(Context& context, const RunRequest& request);

// Every |expected - actual| is at most `relative` times the largest |expected|: errors of sums scale with the
// sums of magnitudes, not with single results, which may cancel to nothing.
void ExpectNear(const std::vector<float>& expected, const std::vector<float>& actual, double relative);

}  // namespace resnet_native::testing
