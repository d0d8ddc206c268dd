#include "native/backends/cpu/kernels/simd_avx512_bf16.h"
#include "native/backends/cpu/kernels/tile_kernels-inl.h"

namespace resnet_native::cpu {
namespace {

struct TileBfloat16Dot {
  static constexpr int kChannelsPerStep = 32;

  template <int kSum, int kPixels, int kWeights>
  static inline __attribute__((always_inline)) void Multiply() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kPixels), "i"(kWeights));
  }
};

// y = relu?(sum + bias + residual), rounded to bfloat16 or as float.
class TileBfloat16Epilogue : TileEpilogue {
 public:
  inline __attribute__((always_inline)) TileBfloat16Epilogue(const TileConv& conv, const TilePanel& panel)
      : TileEpilogue(conv, panel) {}

  inline __attribute__((always_inline)) void Store(const char* sums, int64_t pixel) const {
    const int64_t offset = OffsetOf(pixel);
    __m512 low = _mm512_add_ps(_mm512_load_ps(sums), bias_low_);
    __m512 high = _mm512_add_ps(_mm512_load_ps(sums + 64), bias_high_);
    if (residual_) {
      const __m512i halves =
          _mm512_maskz_loadu_epi16(mask_, static_cast<const uint16_t*>(residual_) + offset);
      low = _mm512_add_ps(low, Widen(_mm512_castsi512_si256(halves)));
      high = _mm512_add_ps(high, Widen(_mm512_extracti64x4_epi64(halves, 1)));
    }
    if (relu_) {
      low = SimdAvx512::Relu(low);
      high = SimdAvx512::Relu(high);
    }
    if (float_y_) {
      StoreFloats(low, high, offset);
    } else {
      const __m512i rounded = (__m512i)_mm512_cvtne2ps_pbh(high, low);
      _mm512_mask_storeu_epi16(static_cast<uint16_t*>(y_) + offset, mask_, rounded);
    }
  }

 private:
  static inline __attribute__((always_inline)) __m512 Widen(__m256i halves) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
  }
};

}  // namespace

constexpr TileConvKernels kTilesBfloat16 =
    MakeTileConvKernels<TileBfloat16Dot, TileBfloat16Epilogue>("amx_bf16");

}  // namespace resnet_native::cpu
