#pragma once

#include <cstddef>
#include <cstdint>

// What a kernel is: plain structs and function pointers. A row of the dispatch table (dispatch.h) is one of
// the structs of functions below, made for one data type and one instruction set. What is `void` or `char`
// here consists of elements of that data type; strides count elements unless they say otherwise.
//
// This header and the -inl.h files are compiled several times with different instruction sets. An inline
// function that more than one of those files emits would be merged by the linker, perhaps into the copy that
// an older CPU cannot run. So: nothing here has functions or default values, and what the -inl.h files define
// is in anonymous namespaces and uses no std:: templates.

namespace resnet_native::cpu {

// Where the sums of a tile go. `y` and `residual` point to the tile's first pixel and channel.
struct TileResult {
  const void* residual;  // null: none
  void* y;
  int64_t y_stride;  // from one pixel to the next, in y and residual
  int last_lanes;    // channels that are stored of the last vector
  bool relu;
  bool float_y;  // y is float whatever the data type is
};

// A tile of output pixels × output channels: what one call of a micro-kernel computes.
struct ConvTile : TileResult {
  const char* const* pixels;  // [taps][pixels of the tile]: channel 0 of the input pixel under each tap
  int64_t first_channel;      // added to each of them: where the group, or the part of the channels, begins
  int64_t taps, channels;     // the sum runs over taps × channels
  const void* weights;        // [taps][channels / depth][blocks × lanes][depth]
  const float* bias;          // [blocks × lanes] or null: the sums go on from what y holds
  const char* prefetch;       // every four steps of the sum, this many cache lines are fetched from here on
  int prefetch_lines;
};

using ConvKernel = void (*)(const ConvTile& tile);

// y = relu?(bias + Σ weights × x + residual), one fused multiply-add after the other in the order of taps and
// channels: the result does not depend on how pixels and channels are cut into tiles.
struct ConvKernels {
  const char* isa;
  int depth;     // neighbouring channels that one multiply-add takes: 1 float, 2 bfloat16
  bool resumes;  // y holds sums without loss, so that a sum may be computed in parts
  int lanes, max_blocks;
  int max_pixels[4];        // of a tile of 1, 2, … max_blocks vectors
  const ConvKernel* table;  // [max_blocks][max_pixels[0]]
};

// A stretch of one output row × one vector of channels, for filters of three columns in groups that the
// vector holds whole.
struct GroupedTile : TileResult {
  const char* const* pixels;   // channel 0 of the input pixels under the filters' first row, left to right
  int64_t pixel_pitch;         // from them to those under the next row
  int64_t rows, channels;      // of the filters
  int64_t first_channel;       // of the vector
  const int32_t* group_lanes;  // [lanes] the first lane of each lane's group
  const float* weights;        // [rows][channels][3][lanes]
  const float* bias;           // [lanes]
  const char* const* next_pixels;  // the same stretch of a row that is wanted soon, or null
};

using GroupedKernel = void (*)(const GroupedTile& tile);

// The sum goes over rows, channels and columns of the filters, whatever the tile.
struct GroupedKernels {
  const char* isa;
  int lanes, max_columns;
  // [several groups, one][stride - 1][columns - 1] for strides 1 and 2.
  const GroupedKernel* table;
};

// Up to 32 output channels, whose weights lie together.
struct TilePanel {
  const char* weights;      // [taps][steps][tiles of 16 channels][16][64 bytes]
  const float* multiplier;  // 32 that sums of bytes are multiplied with; of no use to other data types
  const float* bias;        // 32
  int64_t input_offset;     // bytes from channel 0 to the first channel that it reads
  int64_t first_out;
  int channels;
};

// What tile units compute in one go: all pixels × panels. The pixels lie at equal distances; where these are
// the pixels of several rows, some behind each row's end are computed in vain and not stored.
struct TileConv {
  const char* x;               // pixel 0
  int64_t x_stride;            // bytes from one pixel to the next
  const int64_t* tap_offsets;  // bytes
  int64_t taps, steps;         // the sum runs over taps × steps of 64 bytes of channels
  int64_t pixels;
  int64_t row_pitch, row_width;  // pixel p of a row is stored if p % row_pitch < row_width
  const TilePanel* panel;
  int64_t panels;
  const TilePanel* next;      // whose weights will be needed behind these
  bool panels_inside;         // all panels for a few pixels, then for the next; else a panel for all pixels
  const void* residual;       // null: none; lies as y
  float residual_multiplier;  // of bytes
  void* y;                    // of stored pixel 0
  int64_t y_stride;           // from one stored pixel to the next
  bool relu;
  bool float_y;  // y is float whatever the data type is
};

// What measures the peak: multiply-adds in registers, on a factor of the data type (of bfloat16 a pair) that
// fills `values`, which have room for the vectors of any row. What could be optimised away leaves its sum
// there, as floats.
struct PeakKernels {
  int64_t flops_per_round;
  void (*multiply_add)(int64_t rounds, float* values);
};

struct TileConvKernels {
  const char* isa;
  int channels_per_step;  // 64 bytes of them
  void (*run)(const TileConv& conv);
  PeakKernels peak;
};

// One tile of a Winograd convolution on its way back: its products, the epilogue and where the results go.
struct WinogradOutputTile {
  const float* m;  // [position][channels]
  int64_t position_stride;
  const float* bias;     // whole vectors
  const void* residual;  // null: none; lies as y
  void* y;
  int64_t row_stride, pixel_stride;  // in y and residual
  int rows, columns;                 // outputs that lie inside the image
  int64_t channels;
  bool relu;
};

// Winograd's transforms for 3×3 filters; [0] for tiles of 2×2 outputs, [1] for 4×4. They and the products
// between them are float whatever the data type is.
struct WinogradKernels {
  // Bᵀ d B of a tile's input, `pixels` to v[position * position_stride + channel]; whole vectors are written.
  void (*input[2])(const char* const* pixels, int64_t channels, float* v, int64_t position_stride);
  // y = relu?(Aᵀ m A + bias + residual).
  void (*output[2])(const WinogradOutputTile& tile);
};

// The pixels that are averaged: h × w of them, one after the other.
struct AverageExtent {
  int64_t h, w, pixel_stride;
};

// One row of what max pooling computes. Pixels outside the image are left out.
struct MaxPoolRow {
  const char* const* rows;  // of the image, those that lie under the window
  int64_t row_count;
  int64_t width, channels;                // of the image
  int64_t kernel, stride, pad, dilation;  // of the window, from left to right
  void* y;
  int64_t y_width;
};

struct PoolKernels {
  const char* isa;
  // The largest of each channel: NaN if one of them is, -infinity if there are none.
  void (*max)(const MaxPoolRow& row);
  // y[c] = the mean over the extent of x[c].
  void (*average)(const void* x, const AverageExtent& extent, int64_t channels, void* y);
};

struct ElementwiseKernels {
  const char* isa;
  int lanes;
  void (*relu)(const void* x, int64_t count, void* y);
  void (*add)(const void* a, const void* b, int64_t count, bool relu, void* y);
  // y[i][c] = x[i][c] * scale[c] + shift[c] for `pixels` pixels.
  void (*affine)(const void* x, int64_t pixels, int64_t channels, const float* scale, const float* shift,
                 void* y);
  // From and to float.
  void (*widen)(const void* x, int64_t count, float* y);
  void (*narrow)(const float* x, int64_t count, void* y);

  // The same for every data type: pixels of bytes, normalised, and
  void (*affine_bytes)(const uint8_t* x, int64_t pixels, int64_t channels, const float* scale,
                       const float* shift, float* y);
  // y[c][r] = x[r][c]: x has `rows` rows of x_stride floats, y `columns` rows of y_stride.
  void (*transpose)(const float* x, int64_t rows, int64_t columns, int64_t x_stride, int64_t y_stride,
                    float* y);
};

// All that an instruction set does with one data type.
struct KernelsOfRow {
  ConvKernels conv;
  GroupedKernels grouped;
  WinogradKernels winograd;
  PoolKernels pool;
  ElementwiseKernels elementwise;
  PeakKernels peak;
};
extern const KernelsOfRow kFloat32Scalar;
extern const KernelsOfRow kFloat32Neon;
extern const KernelsOfRow kFloat32Avx2;
extern const KernelsOfRow kFloat32Avx512;
extern const TileConvKernels kTilesBfloat16;  // AMX, as the next
extern const TileConvKernels kTilesInt8;
extern const KernelsOfRow kBfloat16Scalar;
extern const KernelsOfRow kBfloat16Neon;      // widened, as the next
extern const KernelsOfRow kBfloat16NeonBf16;  // with the instructions for it
extern const KernelsOfRow kBfloat16Avx2;
extern const KernelsOfRow kBfloat16Avx512;      // widened, as those above
extern const KernelsOfRow kBfloat16Avx512Bf16;  // with the instructions for it

}  // namespace resnet_native::cpu
