#include "native/backends/cuda/plan.h"

#include <algorithm>

#include "native/backends/cuda/batch_buckets.h"
#include "native/backends/cuda/context.h"

namespace resnet_native::cuda {
namespace {

constexpr size_t kMaxPrograms = 64;
// Without a size of images to prepare for, this is the usual one.
constexpr int64_t kUsualExtent = 224;

size_t WorkspaceLimit(MemoryMode memory) {
  return memory == MemoryMode::kLow ? size_t{16} << 20 : size_t{512} << 20;
}

}  // namespace

CudaPlan::CudaPlan(Graph graph, PlanSetup setup)
    : setup_(std::move(setup)),
      memory_(std::make_shared<DeviceMemory>(setup_.device, setup_.options.memory_budget)),
      network_(std::move(graph), setup_.options.dtype, *setup_.device, *memory_),
      choices_(setup_.device->properties(), setup_.options.cache_folder),
      chooser_(setup_.device, memory_, choices_, setup_.trial, WorkspaceLimit(setup_.options.memory)) {
  PrepareTunedBuckets();
}

void CudaPlan::PrepareTunedBuckets() {
  const int64_t h = setup_.options.height > 0 ? setup_.options.height : kUsualExtent;
  const int64_t w = setup_.options.width > 0 ? setup_.options.width : kUsualExtent;
  try {
    InferShapes(graph(), 1, h, w);
  } catch (const Error&) {
    return;  // it takes other images; their first run prepares
  }
  for (const int64_t n : TunedBuckets(setup_.options.max_batch)) {
    const auto program = Make({n, h, w, InputForm()}, true);
    if (!largest_ || program->memory_bytes > largest_->memory_bytes) largest_ = program;
  }
  chooser_.DoneMeasuring();
}

std::shared_ptr<const Program> CudaPlan::ProgramFor(const InputBatch& input) const {
  const int64_t bucket = BucketOf(input.n, setup_.options.max_batch);
  const ProgramKey key{bucket, input.h, input.w, {input.dtype, input.layout}};
  if (auto program = Find(key)) return program;
  std::lock_guard lock(making_);
  if (auto program = Find(key)) return program;  // made while this waited
  return Make(key, false);
}

std::shared_ptr<const Program> CudaPlan::Find(const ProgramKey& key) const {
  std::lock_guard lock(mutex_);
  const auto found = std::find_if(programs_.begin(), programs_.end(),
                                  [&](const auto& program) { return program->key == key; });
  if (found == programs_.end()) return nullptr;
  programs_.splice(programs_.begin(), programs_, found);
  return programs_.front();
}

std::shared_ptr<const Program> CudaPlan::Make(const ProgramKey& key, bool measure) const {
  auto program = std::make_shared<const Program>(MakeProgram(network_, key, chooser_, measure));
  std::lock_guard lock(mutex_);
  programs_.push_front(program);
  if (programs_.size() > kMaxPrograms) programs_.pop_back();
  return program;
}

std::vector<StepInfo> CudaPlan::Describe() const {
  std::vector<StepInfo> infos;
  std::vector<TensorShape> shapes;
  if (largest_) shapes = InferShapes(graph(), 1, largest_->key.h, largest_->key.w);
  for (NodeId id = 0; id < static_cast<NodeId>(graph().nodes.size()); ++id) {
    if (!network_.HasStep(id)) continue;
    const Node& node = graph().nodes[id];
    StepInfo info{node.name, OpName(node.op), "chosen by the first run", 0};
    if (largest_) {
      const auto launch = std::find_if(largest_->launches.begin(), largest_->launches.end(),
                                       [id](const Launch& launch) { return launch.node == id; });
      info.kernel = launch->kernel->name();
      info.macs = MacsOf(network_.OperationOf(id, shapes, InputForm()));
    }
    infos.push_back(std::move(info));
  }
  return infos;
}

std::unique_ptr<Context> CudaPlan::NewContext(std::shared_ptr<const Plan> self) const {
  loss().Check();
  try {
    return std::make_unique<CudaContext>(std::static_pointer_cast<const CudaPlan>(std::move(self)));
  } catch (...) {
    loss().Note(std::current_exception());
    throw;
  }
}

}  // namespace resnet_native::cuda
