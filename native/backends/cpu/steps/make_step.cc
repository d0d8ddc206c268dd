#include "native/backends/cpu/steps/conv_step.h"
#include "native/backends/cpu/steps/elementwise_steps.h"
#include "native/backends/cpu/steps/grouped_conv_step.h"
#include "native/backends/cpu/steps/nchw.h"
#include "native/backends/cpu/steps/pool_steps.h"
#include "native/backends/cpu/steps/pooled_conv_step.h"
#include "native/backends/cpu/steps/stem_step.h"
#include "native/backends/cpu/steps/tile_conv_step.h"
#include "native/backends/cpu/steps/winograd_step.h"
#include "native/graph/overloaded.h"

namespace resnet_native::cpu {

namespace {

std::unique_ptr<BandStep> MakeStemStep(const Conv2dOp& op, DType dtype, const StepOptions& options) {
  if (options.kernels[dtype].tiles) return std::make_unique<TileConvStep>(op, true, dtype, options);
  return std::make_unique<StemStep>(op, dtype, options);
}

}  // namespace

std::unique_ptr<Step> MakeStep(const Op& op, bool from_input, const StepTypes& types,
                               const StepOptions& options) {
  using Result = std::unique_ptr<Step>;
  return std::visit(
      Overloaded{
          [&](const InputOp& op) -> Result {
            return std::make_unique<InputStep>(op.channels, std::nullopt, types.y, options);
          },
          [&](const NormalizeOp& op) -> Result {
            return std::make_unique<InputStep>(static_cast<int>(op.affine.scale.size()), op.affine, types.y,
                                               options);
          },
          [&](const Conv2dOp& op) -> Result {
            if (op.max_pool) {
              return std::make_unique<PooledConvStep>(op, MakeStemStep(op, types.y, options), types.y,
                                                      options);
            }
            if (from_input) return MakeStemStep(op, types.y, options);
            if (options.kernels[types.y].tiles) {
              return std::make_unique<TileConvStep>(op, false, types.y, options);
            }
            if (options.algorithm) {
              return std::make_unique<WinogradStep>(op, *options.algorithm, types.x, options);
            }
            if (GroupedConvStep::Fits(op, *options.kernels[types.x].grouped)) {
              return std::make_unique<GroupedConvStep>(op, types.x, options);
            }
            return std::make_unique<ConvStep>(op, types.x, options);
          },
          [&](const BatchNormOp& op) -> Result {
            return std::make_unique<BatchNormStep>(op, types.x, options);
          },
          [&](const ReluOp&) -> Result { return std::make_unique<ReluStep>(types.x, options); },
          [&](const MaxPool2dOp& op) -> Result {
            return std::make_unique<MaxPoolStep>(op, types.x, options);
          },
          [&](const GlobalAvgPoolOp&) -> Result {
            return std::make_unique<GlobalAvgPoolStep>(types.x, options);
          },
          [&](const FlattenOp&) -> Result { return std::make_unique<FlattenStep>(); },
          [&](const LinearOp& op) -> Result {
            if (options.kernels[types.x].tiles) return std::make_unique<TileConvStep>(op, types.x, options);
            return std::make_unique<ConvStep>(op, types.x, options);
          },
          [&](const AddOp& op) -> Result { return std::make_unique<AddStep>(op, types.x, options); },
          [&](const ZeroPadShortcutOp& op) -> Result { return std::make_unique<ZeroPadShortcutStep>(op); },
          [](const auto&) -> Result {
            throw Error(ErrorCode::kInternal, "an operation on bytes has no step of another type");
          },
      },
      op);
}

}  // namespace resnet_native::cpu
