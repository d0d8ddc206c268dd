#include "native/backends/cpu/steps/elementwise_steps.h"
#include "native/backends/cpu/steps/int8_conv_step.h"
#include "native/backends/cpu/steps/int8_steps.h"
#include "native/backends/cpu/steps/nchw.h"
#include "native/backends/cpu/steps/pool_steps.h"
#include "native/backends/cpu/steps/pooled_conv_step.h"
#include "native/backends/cpu/steps/tile_conv_step.h"
#include "native/graph/overloaded.h"

namespace resnet_native::cpu {

bool WorksOnBytes(const Graph& graph, NodeId id) {
  const Node& node = graph.nodes[id];
  return node.quantization || (!node.inputs.empty() && graph.nodes[node.inputs[0]].quantization);
}

namespace {

template <class ConvOrLinear>
std::unique_ptr<BandStep> MakeConvStep(const ConvOrLinear& op, const Int8Operands& operands,
                                       const StepOptions& options) {
  if (options.kernels[DType::kInt8].tiles) return std::make_unique<TileConvStep>(op, operands, options);
  return std::make_unique<Int8ConvStep>(op, operands, options);
}

}  // namespace

std::unique_ptr<Step> MakeInt8Step(const Graph& graph, NodeId id, const StepOptions& options) {
  using Result = std::unique_ptr<Step>;
  const Node& node = graph.nodes[id];
  const Node& first = graph.nodes[node.inputs[0]];
  const Quantization x = first.quantization.value_or(Quantization{});
  const auto residual = node.inputs.size() > 1 ? graph.nodes[node.inputs[1]].quantization : std::nullopt;
  const auto& y = node.quantization;
  const Int8Operands operands{node.name, x, residual, y};
  return std::visit(
      Overloaded{
          [&](const Conv2dOp& op) -> Result {
            std::unique_ptr<BandStep> conv = MakeConvStep(op, operands, options);
            if (!op.max_pool) return conv;
            const DType pooled = y ? DType::kInt8 : DType::kFloat32;
            return std::make_unique<PooledConvStep>(op, std::move(conv), pooled, options);
          },
          [&](const LinearOp& op) -> Result { return MakeConvStep(op, operands, options); },
          [&](const QuantizeOp& op) -> Result {
            if (node.inputs[0] != 0) return std::make_unique<QuantizeStep>(*y, options);
            const int channels = std::get<InputOp>(first.op).channels;
            return std::make_unique<QuantizeInputStep>(channels, op.input_normalize, *y, options);
          },
          [&](const DequantizeOp&) -> Result { return std::make_unique<DequantizeStep>(x, options); },
          [&](const MaxPool2dOp& op) -> Result {
            return std::make_unique<MaxPoolStep>(op, DType::kInt8, options);
          },
          [&](const GlobalAvgPoolOp&) -> Result {
            return std::make_unique<Int8GlobalAvgPoolStep>(x, y, options);
          },
          [&](const ReluOp&) -> Result {
            return std::make_unique<Int8RescaleStep>(x, std::nullopt, y, true, options);
          },
          [&](const AddOp& op) -> Result {
            return std::make_unique<Int8RescaleStep>(x, residual, y, op.relu, options);
          },
          [&](const FlattenOp&) -> Result { return std::make_unique<FlattenStep>(); },
          [&](const ZeroPadShortcutOp& op) -> Result {
            return std::make_unique<ZeroPadShortcutStep>(op, static_cast<char>(x.zero_point));
          },
          [](const auto&) -> Result { throw Error(ErrorCode::kInternal, "an operation has no int8 form"); },
      },
      node.op);
}

}  // namespace resnet_native::cpu
