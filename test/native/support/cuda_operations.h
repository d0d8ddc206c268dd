#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "native/backends/cuda/device.h"

// Runs single operations of the CUDA backend's device interface from memory of the host: the kernels' bodies
// on the host, always, and every candidate of the operation on a GPU, where there is one.

namespace resnet_native::cuda::testing {

// `values` as they are stored with this dtype, each rounded once; and back. Those of kInt8 are bytes.
std::vector<uint8_t> Encode(DType dtype, const std::vector<float>& values);
std::vector<float> Decode(DType dtype, const std::vector<uint8_t>& bytes);

// What an operation is given; what it does not need is left empty.
struct OperandData {
  std::vector<uint8_t> x, residual, filters, typed_shift, table;
  std::vector<float> scale, shift;
  float residual_scale = 1;
  double pixel_scale = 1;
  size_t y_bytes = 0;
};

struct Result {
  std::string candidate;
  std::vector<uint8_t> y;
};

class Executor {
 public:
  virtual ~Executor() = default;
  // One result for each way of doing the operation. y is poisoned before, and what lies behind it is checked.
  virtual std::vector<Result> Run(const Operation& operation, const OperandData& data) = 0;
};

// "host" or "gpu".
std::vector<std::string> ExecutorNames();

// A suite that runs once for each executor, and is skipped, saying why, where it is not to be had.
class EachExecutor : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override;
  Executor& executor() const { return *executor_; }

 private:
  std::shared_ptr<Executor> executor_;
};

// Random values that the dtype holds exactly: uniform in [-1, 1), or all bytes.
std::vector<float> Random(DType dtype, int64_t size, uint32_t seed);
std::vector<uint8_t> RandomBytes(int64_t size, uint32_t seed);

class OperationTest : public EachExecutor {
 protected:
  using Bound = std::function<double(size_t index, double expected)>;

  // Runs the operation every way there is, and compares each result with `expected`. NaN must be NaN. Kernels
  // of ours give it exactly if `own_is_exact`.
  void Expect(const Operation& operation, OperandData data, DType y_dtype, const std::vector<float>& expected,
              const Bound& bound, bool own_is_exact = false);
  void ExpectExact(const Operation& operation, const OperandData& data, DType y_dtype,
                   const std::vector<float>& expected);
};

#define RESNET_NATIVE_EACH_EXECUTOR(Suite)                                                                \
  INSTANTIATE_TEST_SUITE_P(, Suite, ::testing::ValuesIn(::resnet_native::cuda::testing::ExecutorNames()), \
                           [](const auto& info) { return info.param; })

}  // namespace resnet_native::cuda::testing
