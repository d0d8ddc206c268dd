#pragma once

#include <array>
#include <vector>

#include "native/backends/cpu/steps/step.h"
#include "native/graph/quantization.h"

namespace resnet_native::cpu {

// The steps of int8 networks beside convolutions. Pools of the largest and shortcuts of zeros are those of
// other data types, because they change no value.

// The run's input, normalised, as bytes.
class QuantizeInputStep final : public Step {
 public:
  QuantizeInputStep(int channels, const std::optional<ChannelAffine>& normalize, const Quantization& to,
                    const StepOptions& options);

  void Run(const StepRun& run) const override;
  std::string Kernel() const override { return "quantize"; }
  size_t ScratchBytes(const TensorShape& x, const TensorShape& y, int threads) const override;

 private:
  void QuantizeRow(const InputBatch& input, int64_t n, int64_t h, uint8_t* scratch, uint8_t* y) const;

  const int64_t channels_;
  const Quantization to_;
  const std::vector<std::array<uint8_t, 256>> pixels_;  // what becomes of bytes, for each channel
  const Int8Kernels& kernels_;
};

class QuantizeStep final : public Step {
 public:
  QuantizeStep(const Quantization& to, const StepOptions& options)
      : to_(to), kernels_(*options.kernels[DType::kInt8].int8) {}

  void Run(const StepRun& run) const override;
  std::string Kernel() const override { return "quantize"; }

 private:
  const Quantization to_;
  const Int8Kernels& kernels_;
};

class DequantizeStep final : public Step {
 public:
  DequantizeStep(const Quantization& from, const StepOptions& options)
      : from_(from), kernels_(*options.kernels[DType::kInt8].int8) {}

  void Run(const StepRun& run) const override;
  std::string Kernel() const override { return "dequantize"; }

 private:
  const Quantization from_;
  const Int8Kernels& kernels_;
};

// An addition, or a ReLU of one operand.
class Int8RescaleStep final : public Step {
 public:
  Int8RescaleStep(const Quantization& a, const std::optional<Quantization>& b,
                  const std::optional<Quantization>& y, bool relu, const StepOptions& options);

  void Run(const StepRun& run) const override;
  std::string Kernel() const override { return "int8 rescale"; }

 private:
  const Requantization to_;
  const bool relu_;
  const Int8Kernels& kernels_;
};

class Int8GlobalAvgPoolStep final : public Step {
 public:
  Int8GlobalAvgPoolStep(const Quantization& x, const std::optional<Quantization>& y,
                        const StepOptions& options)
      : x_(x), y_(y), kernels_(*options.kernels[DType::kInt8].int8) {}

  void Run(const StepRun& run) const override;
  std::string Kernel() const override { return "int8 average"; }

 private:
  const Quantization x_;
  const std::optional<Quantization> y_;
  const Int8Kernels& kernels_;
};

}  // namespace resnet_native::cpu
