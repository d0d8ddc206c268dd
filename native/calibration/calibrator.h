#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "native/backend.h"
#include "native/calibration/histogram.h"

namespace resnet_native {

// Finds the scales that int8 needs by running the float32 network over images and looking at every value that
// stays in memory once the passes have fused what they can. Thread-safe; runs one batch at a time.
class Calibrator {
 public:
  // `graph` is valid and as traced. `options` are those of a float32 plan.
  Calibrator(Graph graph, Backend& backend, const CompileOptions& options);

  // Runs a batch of any size and counts what it sees. Blocks. Throws kInvalidArgument if something is NaN or
  // infinite, naming the node, and what a run throws; a batch that fails may have been counted in part.
  void Collect(const InputBatch& batch);

  struct NodeScale {
    std::string node;
    float scale;
  };
  // What Node::scale should be, of every node seen. `percentile`, above 0 and at most 100, is for its method.
  // Throws kInvalidArgument if no image was seen.
  std::vector<NodeScale> Scales(CalibrationMethod method, double percentile) const;

 private:
  struct Observed {
    std::string node;
    bool non_negative;
    Histogram histogram;
  };
  void CollectSome(const InputBatch& batch);

  std::shared_ptr<const Plan> plan_;
  std::unique_ptr<Context> context_;
  const int threads_;
  mutable std::mutex mutex_;        // over what follows
  std::vector<Observed> observed_;  // in the order of the plan's outputs
  std::vector<std::vector<float>> values_;
  int64_t images_ = 0;
};

}  // namespace resnet_native
