#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "native/backend.h"

// The addon and the CUDA backend's library each bring their own C++ runtime, and an exception must not travel
// from one into the other: unwinders of different builds do not understand each other's frames. Here is the
// backend's interface again with errors as data. The library puts its backend behind it (Enclose), the addon
// makes a backend of it again (Disclose).

namespace resnet_native {

struct Failure {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};
using Outcome = std::optional<Failure>;  // none: success

class FencedContext {
 public:
  virtual ~FencedContext() = default;
  virtual void Run(const RunRequest& request, std::function<void(const Outcome&)> done) noexcept = 0;
};

class FencedPlan {
 public:
  virtual ~FencedPlan() = default;
  virtual const Graph& graph() const noexcept = 0;
  virtual int default_contexts() const noexcept = 0;
  virtual Outcome Describe(std::vector<StepInfo>* steps) const noexcept = 0;
  virtual Outcome NewContext(std::unique_ptr<FencedContext>* context) const noexcept = 0;
};

class FencedBackend {
 public:
  virtual ~FencedBackend() = default;
  virtual Outcome Devices(std::vector<DeviceInfo>* devices) noexcept = 0;
  virtual Outcome Compile(Graph graph, const CompileOptions& options,
                          std::shared_ptr<const FencedPlan>* plan) noexcept = 0;
  virtual Outcome DecodeJpegs(int device_index, std::span<JpegCrop> crops) noexcept = 0;
};

// In the library.
std::unique_ptr<FencedBackend> Enclose(std::unique_ptr<Backend> backend);
// In the addon; `backend` outlives what it returns.
std::unique_ptr<Backend> Disclose(FencedBackend& backend);

}  // namespace resnet_native
