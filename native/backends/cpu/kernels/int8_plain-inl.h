#include "native/backends/cpu/kernels/int8_kernels.h"
#include "native/backends/cpu/kernels/max_pool-inl.h"
#include "native/backends/cpu/kernels/unroll.h"

// int8 in plain loops, which the compiler turns into the vectors of the instruction set that the file is
// compiled for. Its arithmetic is exact or IEEE, so no order of operations shows. Only sums of products are
// worth instructions of their own, and on some machines what follows them.

namespace resnet_native::cpu {
namespace {

inline __attribute__((always_inline)) uint8_t ToByte(float y) {
  const float positive = y > 0.0f ? y : 0.0f;  // NaN becomes 0
  const float clamped = positive < 255.0f ? positive : 255.0f;
  return static_cast<uint8_t>(static_cast<int32_t>(__builtin_rintf(clamped)));
}

inline __attribute__((always_inline)) float ReluIf(bool relu, float y) { return relu && y < 0.0f ? 0.0f : y; }

template <bool kResidual>
void PlainFinishPixel(const Int8Finish& f, const int32_t* sums, const uint8_t* residual, float* y) {
  for (int c = 0; c < f.channels; ++c) {
    y[c] = __builtin_fmaf(static_cast<float>(sums[c]), f.multiplier[c], f.offset[c]);
    if (kResidual) y[c] = __builtin_fmaf(static_cast<float>(residual[c]), f.residual_multiplier, y[c]);
  }
}

void PlainFinish(const Int8Finish& f) {
  for (int i = 0; i < f.pixels; ++i) {
    float values[kInt8Panel];
    const int32_t* sums = f.sums + i * kInt8Panel;
    if (f.residual) {
      PlainFinishPixel<true>(f, sums, f.residual + i * f.y_stride, values);
    } else {
      PlainFinishPixel<false>(f, sums, nullptr, values);
    }
    if (f.to_bytes) {
      auto* y = static_cast<uint8_t*>(f.y) + i * f.y_stride;
      for (int c = 0; c < f.channels; ++c) y[c] = ToByte(values[c]);
    } else {
      auto* y = static_cast<float*>(f.y) + i * f.y_stride;
      for (int c = 0; c < f.channels; ++c) y[c] = ReluIf(f.relu, values[c]);
    }
  }
}

void PlainRescale(const Int8Rescale& r) {
  constexpr int64_t kPiece = 256;
  for (int64_t first = 0; first < r.count; first += kPiece) {
    const int64_t count = r.count - first < kPiece ? r.count - first : kPiece;
    float values[kPiece];
    for (int64_t i = 0; i < count; ++i) {
      values[i] = __builtin_fmaf(static_cast<float>(r.a[first + i]), r.multiplier, r.offset);
    }
    if (r.b) {
      for (int64_t i = 0; i < count; ++i) {
        values[i] = __builtin_fmaf(static_cast<float>(r.b[first + i]), r.other, values[i]);
      }
    }
    if (r.to_bytes) {
      auto* y = static_cast<uint8_t*>(r.y) + first;
      for (int64_t i = 0; i < count; ++i) y[i] = ToByte(values[i]);
    } else {
      auto* y = static_cast<float*>(r.y) + first;
      for (int64_t i = 0; i < count; ++i) y[i] = ReluIf(r.relu, values[i]);
    }
  }
}

template <int kBytes>
inline __attribute__((always_inline)) void CopyChunk(const uint8_t* from, uint8_t* to) {
  __builtin_memcpy(to, from, kBytes);
}

// The last chunk overlaps the one before it, where there is one.
inline __attribute__((always_inline)) void CopyRow(const uint8_t* from, int64_t bytes, uint8_t* to) {
  int64_t i = 0;
  for (; i + 64 <= bytes; i += 64) CopyChunk<64>(from + i, to + i);
  for (; i + 16 <= bytes; i += 16) CopyChunk<16>(from + i, to + i);
  if (i == bytes) return;
  if (bytes >= 16) return CopyChunk<16>(from + bytes - 16, to + bytes - 16);
  for (; i < bytes; ++i) to[i] = from[i];
}

void PlainCopyRows(const uint8_t* from, int64_t stride, int rows, int64_t bytes, uint8_t* to) {
  for (int row = 0; row < rows; ++row, from += stride, to += bytes) CopyRow(from, bytes, to);
}

void PlainQuantize(const float* x, int64_t count, float inverse, float zero_point, uint8_t* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = ToByte(__builtin_fmaf(x[i], inverse, zero_point));
}

void PlainDequantize(const uint8_t* x, int64_t count, float scale, int zero_point, float* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = static_cast<float>(x[i] - zero_point) * scale;
}

// As wide as a register: gcc keeps wider vectors in memory.
#if defined(__AVX512BW__)
constexpr int64_t kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int64_t kVectorBytes = 32;
#else
constexpr int64_t kVectorBytes = 16;
#endif

struct ByteLanes {
  typedef uint8_t T __attribute__((vector_size(kVectorBytes)));
  using Element = uint8_t;
  static constexpr int kLanes = kVectorBytes;

  inline __attribute__((always_inline)) T Load(const uint8_t* p) const {
    T v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
  }
  inline __attribute__((always_inline)) void Store(uint8_t* p, T v) const {
    __builtin_memcpy(p, &v, sizeof v);
  }
  inline __attribute__((always_inline)) T Lowest() const { return T{}; }
  inline __attribute__((always_inline)) T Max(T a, T b) const { return a > b ? a : b; }
};

struct OneByte {
  using T = uint8_t;
  using Element = uint8_t;
  static constexpr int kLanes = 1;

  inline __attribute__((always_inline)) T Load(const uint8_t* p) const { return *p; }
  inline __attribute__((always_inline)) void Store(uint8_t* p, T v) const { *p = v; }
  inline __attribute__((always_inline)) T Lowest() const { return 0; }
  inline __attribute__((always_inline)) T Max(T a, T b) const { return a > b ? a : b; }
};

// The last vector overlaps the one before it, where there is one.
void PlainMaxPool(const MaxPoolRow& row) {
  int64_t c = PoolWholeVectors(ByteLanes{}, row);
  if (c == row.channels) return;
  if (row.channels >= kVectorBytes) return PoolChannels<1>(ByteLanes{}, row, row.channels - kVectorBytes);
  for (; c < row.channels; ++c) PoolChannels<1>(OneByte{}, row, c);
}

void PlainSumPixels(const uint8_t* x, int64_t pixels, int64_t stride, int64_t channels, int32_t* sums) {
  for (int64_t i = 0; i < pixels; ++i, x += stride) {
    for (int64_t c = 0; c < channels; ++c) sums[c] += x[c];
  }
}

// Calls body.operator()<count>(first pixel) with kMost pixels at a time, then two, then one.
template <int kMost, class Body>
inline __attribute__((always_inline)) void ForEachPixels(int pixels, Body body) {
  int i = 0;
  for (; i + kMost <= pixels; i += kMost) body.template operator()<kMost>(i);
  if constexpr (kMost > 2) {
    for (; i + 2 <= pixels; i += 2) body.template operator()<2>(i);
  }
  if (i < pixels) body.template operator()<1>(i);
}

// The same for one block of 16 channels after the other, whose weights stay near meanwhile: calls
// body.operator()<count>(block, first pixel).
template <int kMost, class Body>
inline __attribute__((always_inline)) void ForEachBlockOfPixels(const Int8Tile& tile, Body body) {
  for (int block = 0; block < tile.blocks; ++block) {
    ForEachPixels<kMost>(tile.pixels,
                         [&]<int kCount>(int first) { body.template operator()<kCount>(block, first); });
  }
}

// A row of the dispatch table that is plain but for its sums and, perhaps, what follows them.
constexpr Int8Kernels MakeInt8Kernels(const char* isa, int max_pixels, void (*sums)(const Int8Tile&),
                                      int depth = 4) {
  return {isa,
          depth,
          max_pixels,
          sums,
          PlainFinish,
          PlainRescale,
          PlainCopyRows,
          PlainQuantize,
          PlainDequantize,
          PlainSumPixels,
          {isa, PlainMaxPool, nullptr}};
}

}  // namespace
}  // namespace resnet_native::cpu
