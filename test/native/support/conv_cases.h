#pragma once

#include "test/native/support/cpu_steps.h"

namespace resnet_native::cpu::testing {

// Convolutions over shapes that no tile was made for.
struct ConvCase {
  const char* what;
  TensorShape x;
  int out_channels;
  Window window;
  int groups = 1;

  TensorShape Output() const { return {x.n, window.OutH(x.h), window.OutW(x.w), out_channels}; }
};

inline const ConvCase kConvs[] = {
    {"one of everything", {1, 1, 1, 1}, 1, Square(1)},
    {"1x1, whole tiles", {1, 6, 14, 32}, 64, Square(1)},
    {"1x1, a tail in every dimension", {1, 5, 7, 19}, 37, Square(1)},
    {"1x1 over a batch, tiles cross images", {5, 3, 3, 24}, 40, Square(1)},
    {"1x1 with padding", {1, 4, 5, 8}, 16, Square(1, 1, 2)},
    {"1x1 with stride 2", {2, 7, 9, 16}, 24, Square(1, 2)},
    {"1x1, panels of four vectors and of three", {1, 5, 7, 19}, 100, Square(1)},
    // A part takes an eighth of the second-level cache: these are cut where that has up to 2 MB.
    {"1x1, the sum cut in parts", {1, 1, 2, 9000}, 40, Square(1)},
    {"3x3", {1, 14, 14, 16}, 32, Square(3, 1, 1)},
    {"3x3, odd everything", {2, 9, 11, 13}, 17, Square(3, 1, 1)},
    {"3x3 with stride 2", {1, 15, 14, 20}, 33, Square(3, 2, 1)},
    {"3x3 with stride 3, no padding", {1, 13, 10, 5}, 9, Square(3, 3)},
    {"3x3 with dilation 2", {1, 9, 9, 12}, 16, Square(3, 1, 2, 2)},
    {"3x3 with dilation 3 and stride 2", {1, 12, 17, 6}, 8, Square(3, 2, 3, 3)},
    {"3x3 with more padding than kernel", {1, 4, 3, 7}, 10, Square(3, 1, 5)},
    {"3x3, several taps in a part", {1, 2, 2, 1500}, 8, Square(3, 1, 1)},
    {"3x3, each tap in several parts", {1, 2, 1, 8500}, 16, Square(3, 1, 1)},
    {"3x3, more weights than pixels", {4, 3, 3, 192}, 160, Square(3, 1, 1)},
    {"3x3 on one pixel", {3, 1, 1, 64}, 48, Square(3, 1, 1)},
    {"rectangular", {1, 8, 9, 10}, 11, {2, 5, 3, 2, 1, 0, 2, 1}},
    {"one input channel", {1, 10, 10, 1}, 16, Square(5, 1, 2)},
    {"one output channel", {1, 7, 7, 30}, 1, Square(3, 1, 1)},
    {"7x7 with stride 2", {1, 21, 19, 3}, 64, Square(7, 2, 3)},
    {"one row", {1, 1, 50, 9}, 12, Square(3, 1, 1)},
    {"one column", {1, 50, 1, 9}, 12, Square(3, 1, 1)},
    {"depthwise", {1, 9, 10, 37}, 37, Square(3, 1, 1), 37},
    {"groups of 2", {1, 9, 10, 22}, 22, Square(3, 1, 1), 11},
    {"groups of 4", {2, 7, 9, 128}, 128, Square(3, 1, 1), 32},
    {"groups of 4, tail", {1, 8, 5, 20}, 20, Square(3, 2, 1), 5},
    {"groups of 8", {1, 7, 9, 40}, 40, Square(3, 1, 1), 5},
    {"groups of 4, several stretches and bands", {2, 31, 29, 32}, 32, Square(3, 1, 1), 8},
    {"groups of 8, stretches of stride 2", {1, 33, 35, 16}, 16, Square(3, 2, 1), 2},
    {"groups of 8, rows dilated", {1, 9, 8, 24}, 24, {3, 3, 1, 1, 2, 1, 2, 1}, 3},
    {"groups of 2, strides of 2 and 1", {1, 9, 8, 24}, 24, {3, 3, 2, 1, 1, 1, 1, 1}, 12},
    {"groups of 16, two rows of filters", {1, 9, 16, 48}, 48, {2, 3, 1, 1, 0, 1, 1, 1}, 3},
    {"groups of 4, five columns", {1, 9, 8, 24}, 24, Square(5, 1, 2), 6},
    {"groups of 16, stride 2", {1, 8, 8, 64}, 64, Square(3, 2, 1), 4},
    {"groups of 32", {1, 7, 7, 96}, 96, Square(3, 1, 1), 3},
    {"groups of 5", {1, 6, 7, 15}, 15, Square(3, 1, 1), 3},
    {"groups that widen", {1, 6, 5, 8}, 24, Square(3, 1, 1), 4},
    {"groups that narrow", {1, 6, 5, 24}, 6, Square(1), 3},
    {"depthwise with dilation", {1, 11, 9, 16}, 16, Square(3, 1, 2, 2), 16},
};

}  // namespace resnet_native::cpu::testing
