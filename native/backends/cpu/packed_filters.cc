#include "native/backends/cpu/packed_filters.h"

#include <algorithm>

#include "native/backends/cpu/cpu_info.h"
#include "native/bfloat16.h"

namespace resnet_native::cpu {

FilterSource FiltersOf(const Conv2dOp& op) {
  return {op.filters,         op.bias,           op.in_channels, op.out_channels, op.groups,
          op.window.kernel_h, op.window.kernel_w};
}

FilterSource FiltersOf(const LinearOp& op) { return {op.filters, op.bias, op.in_features, op.out_features}; }

PackedFilters::PackedFilters(const FilterSource& source, DType dtype, const ConvKernels& kernels,
                             ThreadPool& pool)
    : dtype_(dtype) {
  const int64_t in_per_group = source.in_channels / source.groups;
  lanes_ = kernels.lanes;
  taps_ = source.taps();
  channels_ = in_per_group * (source.join_columns ? source.kernel_w : 1);
  depth_ = kernels.depth;
  words_per_lane_ = CeilDiv(depth_, 2);  // floats, or pairs of bfloat16
  steps_ = CeilDiv(channels_, depth_);
  kernels_ = kernels.table;
  kernels_per_row_ = kernels.max_pixels[0];
  MakePanels(source, kernels.max_blocks);
  max_pixels_ = kernels.max_pixels[panels_[0].blocks - 1];
  if (kernels.resumes) {
    MakeParts();
  } else {
    parts_ = {{0, taps_, 0, channels_}};
  }
  description_ = "direct " + std::to_string(max_pixels_) + "x" + std::to_string(lanes_ * panels_[0].blocks) +
                 " " + kernels.isa;
  const Panel& last = panels_.back();
  packed_ = AlignedBuffer(static_cast<size_t>((last.bias + Width(last)) * kWordBytes));
  pool.ParallelFor(static_cast<int64_t>(panels_.size()), [&](int64_t i, int) { Pack(source, panels_[i]); });
}

void PackedFilters::MakePanels(const FilterSource& source, int max_blocks) {
  const int64_t out_per_group = source.out_channels / source.groups;
  const int64_t in_per_group = source.in_channels / source.groups;
  const int64_t width = int64_t{lanes_} * max_blocks;
  for (int64_t group = 0; group < source.groups; ++group) {
    for (int64_t first = 0; first < out_per_group; first += width) {
      AddPanel(group * out_per_group + first, group * in_per_group, std::min(width, out_per_group - first));
    }
  }
}

void PackedFilters::AddPanel(int64_t first_out, int64_t first_in, int64_t channels) {
  Panel panel;
  panel.first_out = first_out;
  panel.first_in = first_in;
  panel.blocks = static_cast<int>(CeilDiv(channels, lanes_));
  panel.last_lanes = static_cast<int>(channels - int64_t{panel.blocks - 1} * lanes_);
  if (!panels_.empty()) panel.weights = panels_.back().bias + Width(panels_.back());
  panel.bias = panel.weights + taps_ * steps_ * StepWords(panel);
  panels_.push_back(panel);
}

// An eighth of the cache is for weights. Where one tap alone is too much it is cut, otherwise whole taps go
// together; the parts are of nearly equal size.
void PackedFilters::MakeParts() {
  const int64_t width = int64_t{panels_[0].blocks} * lanes_;
  const int64_t budget = std::max<int64_t>(Caches().l2 / 8 / sizeof(float) / width, 1);
  if (channels_ >= budget) {
    const int64_t cuts = CeilDiv(channels_, budget);
    for (int64_t tap = 0; tap < taps_; ++tap) {
      for (int64_t i = 0; i < cuts; ++i) {
        const int64_t begin = channels_ * i / cuts, end = channels_ * (i + 1) / cuts;
        parts_.push_back({tap, 1, begin, end - begin});
      }
    }
  } else {
    const int64_t cuts = CeilDiv(taps_, budget / channels_);
    for (int64_t i = 0; i < cuts; ++i) {
      const int64_t begin = taps_ * i / cuts, end = taps_ * (i + 1) / cuts;
      parts_.push_back({begin, end - begin, 0, channels_});
    }
  }
}

// The source's order is [out][channel][row][column]; with joined columns a tap's channels are
// [column][channel].
void PackedFilters::Pack(const FilterSource& source, const Panel& panel) {
  const int64_t in_per_group = source.in_channels / source.groups;
  const int64_t kernel = int64_t{source.kernel_h} * source.kernel_w;
  const int64_t width = Width(panel), used = width - lanes_ + panel.last_lanes;
  float* words = packed_.As<float>() + panel.weights;
  float* bias = packed_.As<float>() + panel.bias;
  std::fill(words, bias, 0.0f);
  std::fill(bias, bias + width, 0.0f);
  const int64_t each = in_per_group * kernel;
  const Weight filters = source.filters.values.Read(panel.first_out * each, used * each);
  for (int64_t lane = 0; lane < used; ++lane) {
    const int64_t out = panel.first_out + lane;
    const double scale = source.filters.Scale(static_cast<int>(out));
    const float* filter = filters.data + lane * each;
    for (int64_t c = 0; c < in_per_group; ++c) {
      for (int64_t k = 0; k < kernel; ++k) {
        const int64_t tap = (k * in_per_group + c) / channels_, channel = (k * in_per_group + c) % channels_;
        float* word = words + (tap * steps_ + channel / depth_) * StepWords(panel) + lane * words_per_lane_;
        StoreWeight(static_cast<float>(filter[c * kernel + k] * scale), channel % depth_, word);
      }
    }
    if (!source.bias.empty()) bias[lane] = source.bias[out];
  }
}

// A row of kernels that widens bfloat16 may want weights that are wide already: they are rounded all the
// same.
void PackedFilters::StoreWeight(float value, int64_t index, float* words) const {
  if (depth_ > 1) {
    reinterpret_cast<uint16_t*>(words)[index] = ToBfloat16(value);
  } else {
    *words = dtype_ == DType::kBfloat16 ? FromBfloat16(ToBfloat16(value)) : value;
  }
}

}  // namespace resnet_native::cpu
