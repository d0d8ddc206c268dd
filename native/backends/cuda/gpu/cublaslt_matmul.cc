#include <algorithm>
#include <optional>

#include "native/backends/cuda/gpu/cublaslt.h"
#include "native/backends/cuda/gpu/gpu_kernel.h"
#include "native/backends/cuda/gpu/kernels/bodies.h"
#include "native/backends/cuda/gpu/kernels/launch.h"

// A 1×1 convolution of stride 1 over NHWC is one matrix product over all pixels, and so is a linear layer.
// cuBLASLt fuses the whole tail: y = relu?(x · filtersᵀ + residual + bias), with the residual as C and
// beta 1.
//
// cuBLASLt counts in columns: row-major [rows][k] is to it a matrix of k × rows. So it computes yᵀ [out ×
// rows] = filters [out × in] · xᵀ [in × rows], with the filters as A, transposed, and x as B.

namespace resnet_native::cuda {
namespace {

constexpr const char* kPrefix = "cublaslt ";
constexpr int kAlgorithms = 4;  // how many of the heuristic's best are candidates
constexpr uint64_t kLargestWorkspace = uint64_t{64} << 20;

struct Product {
  DType dtype = DType::kFloat16, to = DType::kFloat16;
  int64_t rows = 0;
  int in = 0, out = 0;
  bool residual = false, relu = false;
  // int8: the product gives int32 sums to the workspace, and an epilogue of ours does the rest.
  bool int8() const { return dtype == DType::kInt8; }
  size_t sums_bytes() const { return int8() ? static_cast<size_t>(CeilDiv(rows * out * 4, 256) * 256) : 0; }
};

std::optional<Product> ProductOf(const Operation& operation) {
  if (const auto* op = std::get_if<Convolution>(&operation)) {
    const Window& window = op->window;
    if (!window.IsPointwise() || window.stride_h != 1 || window.stride_w != 1 || op->groups != 1) return {};
    return Product{op->dtype,    op->to(), op->n * op->h * op->w, op->in_channels, op->out_channels,
                   op->residual, op->relu};
  }
  if (const auto* op = std::get_if<Linear>(&operation)) {
    return Product{op->dtype, op->to, op->rows, op->in_features, op->out_features, false, false};
  }
  return {};
}

cudaDataType_t TypeOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat16:
      return CUDA_R_16F;
    case DType::kBfloat16:
      return CUDA_R_16BF;
    case DType::kInt8:
      return CUDA_R_8I;
    default:
      return CUDA_R_32F;
  }
}

cublasComputeType_t ComputeTypeOf(DType dtype) {
  if (dtype == DType::kInt8) return CUBLAS_COMPUTE_32I;
  return dtype == DType::kTf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

void Require(cublasStatus_t status, const char* doing) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  const bool memory = status == CUBLAS_STATUS_ALLOC_FAILED;
  throw Error(memory ? ErrorCode::kOutOfMemory : ErrorCode::kUnsupported,
              std::string("cuBLASLt: status ") + std::to_string(status) + " while " + doing);
}

// What a product is described to cuBLASLt with. A launch sets the bias's address, so each has its own.
class Description {
 public:
  explicit Description(const Product& product) {
    const bool int8 = product.int8();
    Require(Lt().DescCreate(&desc_, ComputeTypeOf(product.dtype), int8 ? CUDA_R_32I : CUDA_R_32F),
            "describing");
    Set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
    if (!int8) {
      Set(CUBLASLT_MATMUL_DESC_EPILOGUE, product.relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS);
      Set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, TypeOf(product.to));
    }
    const cudaDataType_t in = TypeOf(product.dtype), out = int8 ? CUDA_R_32I : TypeOf(product.to);
    MakeLayout(a_, in, product.in, product.out);
    MakeLayout(b_, in, product.in, product.rows);
    MakeLayout(d_, out, product.out, product.rows);
  }
  ~Description() {
    for (const cublasLtMatrixLayout_t layout : {a_, b_, d_}) {
      if (layout) Lt().LayoutDestroy(layout);
    }
    if (desc_) Lt().DescDestroy(desc_);
  }
  Description(const Description&) = delete;
  Description& operator=(const Description&) = delete;

  template <class T>
  void Set(cublasLtMatmulDescAttributes_t attribute, const T& value) {
    Require(Lt().DescSetAttribute(desc_, attribute, &value, sizeof(value)), "describing");
  }
  cublasLtMatmulDesc_t desc() const { return desc_; }
  cublasLtMatrixLayout_t a() const { return a_; }
  cublasLtMatrixLayout_t b() const { return b_; }
  cublasLtMatrixLayout_t d() const { return d_; }  // of C too

 private:
  static void MakeLayout(cublasLtMatrixLayout_t& layout, cudaDataType_t type, int64_t rows, int64_t columns) {
    Require(Lt().LayoutCreate(&layout, type, rows, columns, rows), "describing");
  }

  cublasLtMatmulDesc_t desc_ = nullptr;
  cublasLtMatrixLayout_t a_ = nullptr, b_ = nullptr, d_ = nullptr;
};

// The heuristic's best, fastest first. Sums are never split over tiles that are added in less than float32.
std::vector<cublasLtMatmulHeuristicResult_t> Algorithms(cublasLtHandle_t handle, const Product& product) {
  const Description description(product);
  cublasLtMatmulPreference_t preference = nullptr;
  Require(Lt().PreferenceCreate(&preference), "asking for algorithms");
  const uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  Lt().PreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kLargestWorkspace,
                              sizeof(kLargestWorkspace));
  Lt().PreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions,
                              sizeof(reductions));
  std::vector<cublasLtMatmulHeuristicResult_t> results(kAlgorithms);
  int count = 0;
  const cublasStatus_t status =
      Lt().AlgoGetHeuristic(handle, description.desc(), description.a(), description.b(), description.d(),
                            description.d(), preference, kAlgorithms, results.data(), &count);
  Lt().PreferenceDestroy(preference);
  if (status != CUBLAS_STATUS_SUCCESS) count = 0;  // CUBLAS_STATUS_NOT_SUPPORTED: none
  results.resize(count);
  std::erase_if(results, [](const auto& result) { return result.state != CUBLAS_STATUS_SUCCESS; });
  return results;
}

class CublasLtKernel final : public GpuKernel {
 public:
  CublasLtKernel(std::string name, const Product& product, const cublasLtMatmulHeuristicResult_t& algorithm)
      : GpuKernel(std::move(name)), product_(product), algorithm_(algorithm) {}

  size_t workspace_bytes() const override { return product_.sums_bytes() + algorithm_.workspaceSize; }

  void Launch(const LaunchTarget& target, const Operands& operands) const override {
    Description description(product_);
    if (product_.int8()) {
      const int32_t one = 1, zero = 0;
      auto* sums = static_cast<int32_t*>(operands.workspace);
      Matmul(target, operands, description, &one, &zero, sums, sums);
      Finish(target, operands, sums);
      return;
    }
    description.Set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, BiasOf(operands));
    const float one = 1, beta = product_.residual ? 1 : 0;
    Matmul(target, operands, description, &one, &beta, product_.residual ? operands.residual : operands.y,
           operands.y);
  }

 private:
  // It has the dtype of the result.
  const void* BiasOf(const Operands& operands) const {
    return TypeOf(product_.to) == CUDA_R_32F ? operands.shift : operands.typed_shift;
  }

  void Matmul(const LaunchTarget& target, const Operands& operands, const Description& description,
              const void* alpha, const void* beta, const void* c, void* d) const {
    void* workspace = static_cast<char*>(operands.workspace) + product_.sums_bytes();
    const cublasStatus_t status =
        Lt().Matmul(target.cublaslt, description.desc(), alpha, operands.filters, description.a(), operands.x,
                    description.b(), beta, c, description.d(), d, description.d(), &algorithm_.algo,
                    algorithm_.workspaceSize ? workspace : nullptr, algorithm_.workspaceSize, target.stream);
    if (status != CUBLAS_STATUS_SUCCESS) {
      target.state.Fail("cuBLASLt: status " + std::to_string(status) + " while launching " + name());
    }
  }

  void Finish(const LaunchTarget& target, const Operands& operands, const int32_t* sums) const {
    const LibrarySums<int32_t> library{
        sums, product_.rows * product_.out, product_.out, product_.to, product_.residual, product_.relu};
    WithEpilogue(library, operands, [&](const auto& body) {
      target.state.Check(LaunchBody(body, target.stream), "launching an epilogue");
    });
  }

  const Product product_;
  const cublasLtMatmulHeuristicResult_t algorithm_;
};

}  // namespace

std::vector<Candidate> CublasLtCandidates(const BuildTarget& target, const Operation& operation) {
  const std::optional<Product> product = ProductOf(operation);
  if (!product) return {};
  std::vector<Candidate> candidates;
  const size_t count = Algorithms(target.cublaslt, *product).size();
  for (size_t i = 0; i < count; ++i) candidates.push_back({kPrefix + std::to_string(i)});
  return candidates;
}

std::unique_ptr<const GpuKernel> BuildCublasLt(const BuildTarget& target, const Operation& operation,
                                               const std::string& name) {
  if (!name.starts_with(kPrefix)) return nullptr;
  const std::optional<Product> product = ProductOf(operation);
  if (!product) throw Error(ErrorCode::kUnsupported, name + " is no candidate of " + ToString(operation));
  const auto algorithms = Algorithms(target.cublaslt, *product);
  for (size_t i = 0; i < algorithms.size(); ++i) {
    if (name == kPrefix + std::to_string(i))
      return std::make_unique<CublasLtKernel>(name, *product, algorithms[i]);
  }
  throw Error(ErrorCode::kUnsupported, name + " is no candidate of " + ToString(operation));
}

}  // namespace resnet_native::cuda
