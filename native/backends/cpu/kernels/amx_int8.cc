#include "native/backends/cpu/kernels/tile_kernels-inl.h"

namespace resnet_native::cpu {
namespace {

struct TileInt8Dot {
  static constexpr int kChannelsPerStep = 64;

  template <int kSum, int kPixels, int kWeights>
  static inline __attribute__((always_inline)) void Multiply() {
    asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kPixels), "i"(kWeights));
  }
};

// What native/graph/quantization.h makes of sums.
class TileInt8Epilogue : TileEpilogue {
 public:
  inline __attribute__((always_inline)) TileInt8Epilogue(const TileConv& conv, const TilePanel& panel)
      : TileEpilogue(conv, panel),
        multiplier_low_(_mm512_loadu_ps(panel.multiplier)),
        multiplier_high_(_mm512_loadu_ps(panel.multiplier + 16)),
        residual_multiplier_(_mm512_set1_ps(conv.residual_multiplier)) {}

  inline __attribute__((always_inline)) void Store(const char* sums, int64_t pixel) const {
    const int64_t offset = OffsetOf(pixel);
    __m512 low = _mm512_fmadd_ps(Floats(sums), multiplier_low_, bias_low_);
    __m512 high = _mm512_fmadd_ps(Floats(sums + 64), multiplier_high_, bias_high_);
    if (residual_) {
      const uint8_t* bytes = static_cast<const uint8_t*>(residual_) + offset;
      low = _mm512_fmadd_ps(Floats(bytes, mask_), residual_multiplier_, low);
      high = _mm512_fmadd_ps(Floats(bytes + 16, mask_ >> 16), residual_multiplier_, high);
    }
    if (float_y_) {
      const __m512 lowest = _mm512_set1_ps(relu_ ? 0.0f : -__builtin_inff());
      StoreFloats(_mm512_max_ps(low, lowest), _mm512_max_ps(high, lowest), offset);
    } else {
      _mm256_mask_storeu_epi8(static_cast<uint8_t*>(y_) + offset, mask_, ToBytes(low, high));
    }
  }

 private:
  static inline __attribute__((always_inline)) __m512 Floats(const char* sums) {
    return _mm512_cvtepi32_ps(_mm512_load_si512(sums));
  }
  static inline __attribute__((always_inline)) __m512 Floats(const uint8_t* bytes, __mmask32 mask) {
    const __m128i loaded = _mm_maskz_loadu_epi8(static_cast<__mmask16>(mask), bytes);
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(loaded));
  }

  // Narrowing takes care of what is below 0; above 255 the conversion to integers could overflow. It works
  // inside each quarter of a vector, whose first half then holds 4 bytes of each vector.
  static inline __attribute__((always_inline)) __m256i ToBytes(__m512 low, __m512 high) {
    const __m512 largest = _mm512_set1_ps(255.0f);
    const __m512i words = _mm512_packs_epi32(_mm512_cvtps_epi32(_mm512_min_ps(largest, low)),
                                             _mm512_cvtps_epi32(_mm512_min_ps(largest, high)));
    const __m512i bytes = _mm512_packus_epi16(words, words);
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 0, 0, 0, 0, 0, 0, 0);
    return _mm512_castsi512_si256(_mm512_permutexvar_epi32(order, bytes));
  }

  __m512 multiplier_low_, multiplier_high_, residual_multiplier_;
};

}  // namespace

constexpr TileConvKernels kTilesInt8 = MakeTileConvKernels<TileInt8Dot, TileInt8Epilogue>("amx_int8");

}  // namespace resnet_native::cpu
