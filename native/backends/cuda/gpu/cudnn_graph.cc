#include "native/backends/cuda/gpu/cudnn_graph.h"

// Its shim finds cuDNN's functions in the library that BindCudnn is given (the definition comes from
// CMakeLists.txt).
#include <cudnn_frontend.h>

#include <algorithm>
#include <mutex>
#include <unordered_map>

namespace cudnn_frontend {
void* cudnn_dlhandle = nullptr;
}  // namespace cudnn_frontend

namespace resnet_native::cuda {
namespace {

namespace fe = cudnn_frontend;
using fe::graph::Tensor_attributes;
using Tensor = std::shared_ptr<Tensor_attributes>;

// Plans that want more are not considered.
constexpr int64_t kLargestWorkspace = int64_t{256} << 20;
// cuDNN offers up to a hundred plans for a layer. Those of int8 it compiles one by one.
constexpr size_t kMostFusedPlans = 10, kMostFusedInt8Plans = 4, kMostPlainPlans = 4, kMostPlainInt8Plans = 2;

enum Uid : int64_t { kX = 1, kFilters, kY, kResidual, kBias, kScale, kResidualScale };

fe::DataType_t TypeOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat16:
      return fe::DataType_t::HALF;
    case DType::kBfloat16:
      return fe::DataType_t::BFLOAT16;
    case DType::kInt8:
      return fe::DataType_t::INT8;
    default:
      return fe::DataType_t::FLOAT;
  }
}

[[noreturn]] void Unsupported(const std::string& why) {
  throw Error(ErrorCode::kUnsupported, "cuDNN: " + why);
}

void Require(fe::error_t error) {
  if (error.is_bad()) Unsupported(error.get_message());
}

// cudnn-frontend throws of its own, too.
template <class F>
auto Translated(const F& f) {
  try {
    return f();
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    Unsupported(error.what());
  }
}

// Plans of it keep their resources themselves (device.h: a Capture lives no longer than its kernels), so that
// nothing has to be asked of the CUDA runtime. It knows which of its plans pass the filters without building
// them.
class PlannedGraph : public fe::graph::Graph {
 public:
  PlannedGraph() { set_cuda_graph_retention(fe::CudaGraphRetention_t::NONE); }
  bool Passes(int64_t index) { return plans.check_support_at_index(index).is_good(); }
  bool IsReadyMade(int64_t index) const {
    std::vector<fe::BehaviorNote_t> notes;
    const bool known = get_behavior_notes_for_plan_at_index(index, notes).is_good();
    return !known || std::ranges::find(notes, fe::BehaviorNote_t::RUNTIME_COMPILATION) == notes.end();
  }
};

// The tensors and operations of one convolution.
class GraphMaker {
 public:
  GraphMaker(PlannedGraph& graph, const Convolution& op) : graph_(graph), op_(op), out_(op.OutShape()) {}

  void Fused() {
    Tensor y = Sum();
    if (op_.dtype == DType::kInt8)
      y = Pointwise(fe::PointwiseMode_t::MUL, y, PerChannel(kScale, fe::DataType_t::FLOAT));
    if (op_.residual) y = Pointwise(fe::PointwiseMode_t::ADD, y, Residual());
    // cuDNN's ready-made kernels want the bias in the dtype of the activations.
    const auto bias_type = op_.dtype == DType::kInt8 ? fe::DataType_t::FLOAT : TypeOf(op_.dtype);
    y = Pointwise(fe::PointwiseMode_t::ADD, y, PerChannel(kBias, bias_type));
    if (op_.relu && !SaturatesAtZero()) y = Relu(y);
    Output(y, TypeOf(op_.to()));
  }

  // int8's sums are asked for as float32, because only old engines give int32.
  void Plain() { Output(Sum(), op_.dtype == DType::kInt8 ? fe::DataType_t::FLOAT : TypeOf(op_.dtype)); }

 private:
  Tensor Sum() {
    const int64_t group_in = op_.in_channels / op_.groups;
    const Window& window = op_.window;
    const Tensor x = Input(kX, {op_.n, op_.in_channels, op_.h, op_.w});
    const Tensor filters = Input(kFilters, {op_.out_channels, group_in, window.kernel_h, window.kernel_w});
    const auto sums = op_.dtype == DType::kInt8 ? fe::DataType_t::INT32 : fe::DataType_t::FLOAT;
    const Tensor y = graph_.conv_fprop(x, filters,
                                       fe::graph::Conv_fprop_attributes()
                                           .set_padding({window.pad_h, window.pad_w})
                                           .set_stride({window.stride_h, window.stride_w})
                                           .set_dilation({window.dilation_h, window.dilation_w})
                                           .set_compute_data_type(sums));
    y->set_dim(OutDims()).set_stride(ChannelsLast(OutDims())).set_data_type(sums);
    return y;
  }

  // int8 residuals have a scale of their own.
  Tensor Residual() {
    const Tensor residual = Input(kResidual, OutDims());
    if (op_.dtype != DType::kInt8) return residual;
    return Pointwise(fe::PointwiseMode_t::MUL, residual, Scalar(kResidualScale));
  }

  // The least stored byte is what a ReLU leaves. So no int8 graph has an activation, and that is as well:
  // with one, in NHWC, it is matched to kernels that crash (cudnn-frontend's issue 422, open since 9.4).
  bool SaturatesAtZero() const { return op_.to() == DType::kInt8; }

  Tensor Relu(const Tensor& x) {
    if (op_.dtype == DType::kInt8) Unsupported("no activation behind int8");
    const Tensor y = graph_.pointwise(x, Attributes(fe::PointwiseMode_t::RELU_FWD));
    y->set_data_type(fe::DataType_t::FLOAT);
    return y;
  }

  static fe::graph::Pointwise_attributes Attributes(fe::PointwiseMode_t mode) {
    return fe::graph::Pointwise_attributes().set_mode(mode).set_compute_data_type(fe::DataType_t::FLOAT);
  }

  Tensor Pointwise(fe::PointwiseMode_t mode, const Tensor& a, const Tensor& b) {
    const Tensor y = graph_.pointwise(a, b, Attributes(mode));
    y->set_data_type(fe::DataType_t::FLOAT);
    return y;
  }

  Tensor Input(Uid uid, const std::vector<int64_t>& dims) { return Add(uid, dims, TypeOf(op_.dtype)); }
  Tensor PerChannel(Uid uid, fe::DataType_t type) { return Add(uid, {1, op_.out_channels, 1, 1}, type); }
  Tensor Add(Uid uid, const std::vector<int64_t>& dims, fe::DataType_t type) {
    return graph_.tensor(
        Tensor_attributes().set_uid(uid).set_dim(dims).set_stride(ChannelsLast(dims)).set_data_type(type));
  }
  // A number that comes with each launch, from host memory.
  Tensor Scalar(Uid uid) {
    return graph_.tensor(Tensor_attributes()
                             .set_uid(uid)
                             .set_dim({1, 1, 1, 1})
                             .set_stride({1, 1, 1, 1})
                             .set_data_type(fe::DataType_t::FLOAT)
                             .set_is_pass_by_value(true));
  }
  void Output(const Tensor& y, fe::DataType_t type) {
    y->set_output(true).set_uid(kY).set_data_type(type).set_dim(OutDims()).set_stride(
        ChannelsLast(OutDims()));
  }

  // cuDNN names dimensions in the order NCHW, wherever they lie in memory.
  std::vector<int64_t> OutDims() const { return {out_.n, out_.c, out_.h, out_.w}; }
  static std::vector<int64_t> ChannelsLast(const std::vector<int64_t>& dims) {
    return {dims[1] * dims[2] * dims[3], 1, dims[1] * dims[3], dims[1]};
  }

  PlannedGraph& graph_;
  const Convolution& op_;
  const TensorShape out_;
};

// The kinds of arithmetic that are not what the dtype promises (device.h): sums in less than float32, results
// that change from run to run, and for float32 products that a tensor core rounds to tf32.
std::vector<fe::NumericalNote_t> Unwanted(DType dtype) {
  using Note = fe::NumericalNote_t;
  std::vector<Note> notes = {Note::REDUCED_PRECISION_REDUCTION, Note::NONDETERMINISTIC, Note::FFT,
                             Note::WINOGRAD};
  if (dtype == DType::kFloat32) notes.insert(notes.end(), {Note::TENSOR_CORE, Note::DOWN_CONVERT_INPUTS});
  return notes;
}

class Plan final : public CudnnPlan {
 public:
  // The plan of that index is built.
  Plan(std::shared_ptr<PlannedGraph> graph, int64_t index, bool plain)
      : graph_(std::move(graph)), index_(index), plain_(plain) {}

  size_t workspace_bytes() const override {
    return std::max<int64_t>(graph_->get_workspace_size_plan_at_index(index_), 0);
  }

  std::string Execute(cudnnContext* handle, const Operands& operands) const override {
    float residual_scale = operands.residual_scale;
    std::unordered_map<int64_t, void*> pointers = {
        {kX, Mutable(operands.x)}, {kFilters, Mutable(operands.filters)}, {kY, operands.y}};
    if (!plain_) {
      pointers[kResidual] = Mutable(operands.residual);
      pointers[kScale] = Mutable(operands.scale);
      pointers[kBias] = Mutable(operands.typed_shift);
      pointers[kResidualScale] = &residual_scale;
    }
    try {
      fe::error_t error = graph_->execute_plan_at_index(handle, pointers, operands.workspace, index_);
      return error.is_good() ? std::string() : error.get_message();
    } catch (const std::exception& error) {
      return error.what();
    }
  }

 private:
  static void* Mutable(const void* pointer) { return const_cast<void*>(pointer); }

  const std::shared_ptr<PlannedGraph> graph_;
  const int64_t index_;
  const bool plain_;
};

// The graph with the plans of cuDNN's heuristics, none of them built.
std::shared_ptr<PlannedGraph> MakeGraph(cudnnContext* handle, const Convolution& op, GraphForm form) {
  auto graph = std::make_shared<PlannedGraph>();
  GraphMaker maker(*graph, op);
  form == GraphForm::kPlain ? maker.Plain() : maker.Fused();
  Require(graph->validate());
  Require(graph->build_operation_graph(handle));
  // FALLBACK is what works anywhere, where the model of mode A knows nothing that passes.
  Require(graph->create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}));
  graph->deselect_numeric_notes(Unwanted(op.dtype));
  graph->deselect_workspace_greater_than(kLargestWorkspace);
  // They want filters or biases in an order of their own.
  graph->deselect_behavior_notes({fe::BehaviorNote_t::REQUIRES_FILTER_INT8x32_REORDER,
                                  fe::BehaviorNote_t::REQUIRES_BIAS_INT8x32_REORDER});
  return graph;
}

std::string NameOf(const PlannedGraph& graph, int64_t index) {
  std::string name;
  Require(graph.get_plan_name_at_index(index, name));
  return name;
}

}  // namespace

std::vector<CudnnOffer> CudnnOffers(cudnnContext* handle, const Convolution& op, GraphForm form) {
  return Translated([&] {
    const std::shared_ptr<PlannedGraph> graph = MakeGraph(handle, op, form);
    const bool int8 = op.dtype == DType::kInt8;
    const size_t most = form == GraphForm::kPlain ? (int8 ? kMostPlainInt8Plans : kMostPlainPlans)
                                                  : (int8 ? kMostFusedInt8Plans : kMostFusedPlans);
    std::vector<CudnnOffer> offers;
    for (int64_t i = 0; i < graph->get_execution_plan_count() && offers.size() < most; ++i) {
      std::string name = NameOf(*graph, i);
      if (!graph->Passes(i) || std::ranges::find(offers, name, &CudnnOffer::name) != offers.end()) continue;
      offers.push_back({std::move(name), graph->IsReadyMade(i)});
    }
    return offers;
  });
}

// Asks the heuristics again: a plan cannot be made from its name alone, because cudnn-frontend does not know
// all of the knobs that the name tells.
std::unique_ptr<const CudnnPlan> BuildCudnnPlan(cudnnContext* handle, const Convolution& op, GraphForm form,
                                                const std::string& name) {
  return Translated([&]() -> std::unique_ptr<const CudnnPlan> {
    std::shared_ptr<PlannedGraph> graph = MakeGraph(handle, op, form);
    for (int64_t i = 0; i < graph->get_execution_plan_count(); ++i) {
      if (NameOf(*graph, i) != name || !graph->Passes(i)) continue;
      Require(graph->build_plan_at_index(i));
      return std::make_unique<Plan>(std::move(graph), i, form == GraphForm::kPlain);
    }
    Unsupported("no plan is named " + name);
  });
}

void BindCudnn(void* library) {
  static std::once_flag once;
  std::call_once(once, [&] { fe::cudnn_dlhandle = library; });
}

cudnnContext* NewCudnnHandle() {
  cudnnHandle_t handle = nullptr;
  const cudnnStatus_t status = fe::detail::create_handle(&handle);
  if (status == CUDNN_STATUS_SUCCESS) return handle;
  const bool memory =
      status == CUDNN_STATUS_ALLOC_FAILED || status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED;
  throw Error(memory ? ErrorCode::kOutOfMemory : ErrorCode::kDeviceUnavailable,
              std::string("cuDNN cannot be used here: ") + fe::detail::get_error_string(status));
}

void FreeCudnnHandle(cudnnContext* handle) noexcept { fe::detail::destroy_handle(handle); }

std::string SetCudnnStream(cudnnContext* handle, void* stream) {
  const cudnnStatus_t status = fe::detail::set_stream(handle, static_cast<cudaStream_t>(stream));
  return status == CUDNN_STATUS_SUCCESS ? std::string() : fe::detail::get_error_string(status);
}

}  // namespace resnet_native::cuda
