#include "native/backends/cpu/grouped_filters.h"

#include <algorithm>

namespace resnet_native::cpu {
namespace {

constexpr int kColumns = 3;  // of a filter

const GroupedKernel* TableFor(const Conv2dOp& op, int64_t group, const GroupedKernels& kernels) {
  const int one_group = group == kernels.lanes ? 1 : 0;
  return kernels.table + (one_group * 2 + op.window.stride_w - 1) * kernels.max_columns;
}

}  // namespace

bool GroupedFilters::Fit(const Conv2dOp& op, const GroupedKernels& kernels) {
  const Window& window = op.window;
  if (op.groups == 1 || window.kernel_w != kColumns || window.dilation_w != 1 || window.stride_w > 2) {
    return false;
  }
  const int in_group = op.in_channels / op.groups, out_group = op.out_channels / op.groups;
  return in_group == out_group && kernels.lanes % in_group == 0;
}

GroupedFilters::GroupedFilters(const Conv2dOp& op, const GroupedKernels& kernels, ThreadPool& pool)
    : kernels_(kernels),
      rows_(op.window.kernel_h),
      channels_(op.in_channels / op.groups),
      table_(TableFor(op, channels_, kernels)) {
  for (int lane = 0; lane < kernels.lanes; ++lane) {
    group_lanes_.push_back(static_cast<int32_t>(lane - lane % channels_));
  }
  for (int64_t first = 0; first < op.out_channels; first += kernels.lanes) {
    AddPanel(first, std::min<int64_t>(kernels.lanes, op.out_channels - first));
  }
  packed_ = AlignedBuffer(static_cast<size_t>(panels_.back().bias + kernels.lanes) * sizeof(float));
  pool.ParallelFor(static_cast<int64_t>(panels_.size()), [&](int64_t i, int) { Pack(op, panels_[i]); });
}

void GroupedFilters::AddPanel(int64_t first_channel, int64_t channels) {
  Panel panel;
  panel.first_out = panel.first_in = first_channel;
  panel.last_lanes = static_cast<int>(channels);
  if (!panels_.empty()) panel.weights = panels_.back().bias + kernels_.lanes;
  panel.bias = panel.weights + rows_ * kColumns * channels_ * kernels_.lanes;
  panels_.push_back(panel);
}

// From [out][channel][row][column] to [row][channel][column][lane].
void GroupedFilters::Pack(const Conv2dOp& op, const Panel& panel) {
  const int64_t lanes = kernels_.lanes, taps = rows_ * kColumns;
  float* weights = packed_.As<float>() + panel.weights;
  float* bias = packed_.As<float>() + panel.bias;
  std::fill(weights, bias + lanes, 0.0f);
  const int64_t each = channels_ * taps;
  const Weight filters = op.filters.values.Read(panel.first_out * each, panel.last_lanes * each);
  for (int64_t lane = 0; lane < panel.last_lanes; ++lane) {
    const int64_t out = panel.first_out + lane;
    const double scale = op.filters.Scale(static_cast<int>(out));
    const float* filter = filters.data + lane * each;
    for (int64_t c = 0; c < channels_; ++c) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        const int64_t row = tap / kColumns, column = tap % kColumns;
        const int64_t place = (row * channels_ + c) * kColumns + column;
        weights[place * lanes + lane] = static_cast<float>(filter[c * taps + tap] * scale);
      }
    }
    if (!op.bias.empty()) bias[lane] = op.bias[out];
  }
}

}  // namespace resnet_native::cpu
