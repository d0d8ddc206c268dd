#include "native/image/passes.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <cstring>

namespace resnet_native {
namespace {

#define RESNET_NATIVE_AVX2 [[gnu::target("avx2")]]

constexpr int32_t kHalf = 1 << (kWeightBits - 1);

// vpmaddwd multiplies 16-bit numbers, two products to a sum, four times the work of a 32-bit multiply. A
// weight of up to 23 bits goes in as two factors, weight = high * 2^kLowBits + low; pixels need no splitting.
constexpr int kLowBits = 11;

// Byte shuffles of a vector that holds the same 16 bytes in both halves. The lower half of the result is
// about input pixels 0 and 1, the upper about 2 and 3; -1 is a zero byte.
struct Shuffles {
  // From 4 RGB pixels: 16-bit lanes r0 r1 g0 g1 b0 b1 0 0 | r2 r3 g2 g3 b2 b3 0 0.
  __m256i pixels;
  // From 4 32-bit weights' low halves: w0 w1 w0 w1 w0 w1 w0 w1 | w2 w3 w2 w3 w2 w3 w2 w3.
  __m256i weights;
};

RESNET_NATIVE_AVX2 inline Shuffles MakeShuffles() {
  return {_mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,  //
                           6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1),
          _mm256_setr_epi8(0, 1, 4, 5, 0, 1, 4, 5, 0, 1, 4, 5, 0, 1, 4, 5,  //
                           8, 9, 12, 13, 8, 9, 12, 13, 8, 9, 12, 13, 8, 9, 12, 13)};
}

RESNET_NATIVE_AVX2 inline __m256i LoadTwice(const void* at) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(at)));
}

// What four RGB pixels bring to the sums of an output: vectors of red, green and blue in each half, which are
// to be added up.
struct Sums {
  __m256i high, low;
};

RESNET_NATIVE_AVX2 inline __m256i Joined(const Sums& sums) {
  return _mm256_add_epi32(_mm256_slli_epi32(sums.high, kLowBits), sums.low);
}

// The halves of both added up: red, green and blue of `a` in the lower half, of `b` in the upper, rounded.
RESNET_NATIVE_AVX2 inline __m256i RoundedPair(const Sums& a, const Sums& b) {
  const __m256i left = Joined(a), right = Joined(b);
  const __m256i sum = _mm256_add_epi32(_mm256_permute2x128_si256(left, right, 0x20),
                                       _mm256_permute2x128_si256(left, right, 0x31));
  return _mm256_srai_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(kHalf)), kWeightBits);
}

RESNET_NATIVE_AVX2 inline void StorePixel(int32_t rgb, uint8_t* out) { std::memcpy(out, &rgb, sizeof(rgb)); }

// The pixel at `offset` of one row, or of four.
RESNET_NATIVE_AVX2 inline void StorePixels(const Sums (&sums)[1], uint8_t* const* outs, size_t offset) {
  const __m128i sum = _mm256_castsi256_si128(RoundedPair(sums[0], sums[0]));
  const __m128i words = _mm_packs_epi32(sum, sum);
  StorePixel(_mm_cvtsi128_si32(_mm_packus_epi16(words, words)), outs[0] + offset);
}

RESNET_NATIVE_AVX2 inline void StorePixels(const Sums (&sums)[4], uint8_t* const* outs, size_t offset) {
  const __m256i words = _mm256_packs_epi32(RoundedPair(sums[0], sums[1]), RoundedPair(sums[2], sums[3]));
  const __m256i bytes = _mm256_packus_epi16(words, words);
  const __m128i even = _mm256_castsi256_si128(bytes), odd = _mm256_extracti128_si256(bytes, 1);
  StorePixel(_mm_cvtsi128_si32(even), outs[0] + offset);
  StorePixel(_mm_cvtsi128_si32(odd), outs[1] + offset);
  StorePixel(_mm_extract_epi32(even, 1), outs[2] + offset);
  StorePixel(_mm_extract_epi32(odd, 1), outs[3] + offset);
}

template <int kRows>
RESNET_NATIVE_AVX2 void NarrowRows(const Filter& filter, const uint8_t* const* rows, uint8_t* const* outs) {
  const Shuffles shuffles = MakeShuffles();
  const __m256i low_mask = _mm256_set1_epi32((1 << kLowBits) - 1);
  const size_t outputs = filter.first.size();
  const int32_t* weights = filter.weights.data();
  for (size_t i = 0; i < outputs; ++i, weights += filter.stride) {
    const int64_t pixel = int64_t{3} * filter.first[i];
    Sums sums[kRows];
    for (Sums& sum : sums) sum = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int32_t k = 0; k < filter.count[i]; k += kWeightGroup) {
      const __m256i weight = LoadTwice(weights + k);
      const __m256i weight_high = _mm256_shuffle_epi8(_mm256_srli_epi32(weight, kLowBits), shuffles.weights);
      const __m256i weight_low = _mm256_shuffle_epi8(_mm256_and_si256(weight, low_mask), shuffles.weights);
      for (int row = 0; row < kRows; ++row) {
        const __m256i colours = _mm256_shuffle_epi8(LoadTwice(rows[row] + pixel + 3 * k), shuffles.pixels);
        sums[row].high = _mm256_add_epi32(sums[row].high, _mm256_madd_epi16(colours, weight_high));
        sums[row].low = _mm256_add_epi32(sums[row].low, _mm256_madd_epi16(colours, weight_low));
      }
    }
    StorePixels(sums, outs, 3 * i);
  }
}

RESNET_NATIVE_AVX2 void Horizontal(const Filter& filter, const uint8_t* const* rows, int64_t count,
                                   uint8_t* const* outs) {
  static_assert(kRowsAtOnce == 4);
  int64_t row = 0;
  for (; row + kRowsAtOnce <= count; row += kRowsAtOnce) NarrowRows<4>(filter, rows + row, outs + row);
  for (; row < count; ++row) NarrowRows<1>(filter, rows + row, outs + row);
}

RESNET_NATIVE_AVX2 void Vertical(const int32_t* weights, const uint8_t* const* rows, int32_t count,
                                 size_t begin, size_t end, uint8_t* out) {
  constexpr size_t kColumns = 32;
  // Packing works within halves of a vector; this puts the eights of columns back in order.
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  size_t x = begin;
  for (; x + kColumns <= end; x += kColumns) {
    __m256i sums[4];
    for (__m256i& sum : sums) sum = _mm256_set1_epi32(kHalf);
    for (int32_t k = 0; k < count; ++k) {
      const __m256i weight = _mm256_set1_epi32(weights[k]);
      for (int part = 0; part < 4; ++part) {
        const auto* eight = reinterpret_cast<const __m128i*>(rows[k] + x + 8 * part);
        const __m256i values = _mm256_cvtepu8_epi32(_mm_loadl_epi64(eight));
        sums[part] = _mm256_add_epi32(sums[part], _mm256_mullo_epi32(values, weight));
      }
    }
    for (__m256i& sum : sums) sum = _mm256_srai_epi32(sum, kWeightBits);
    const __m256i first = _mm256_packs_epi32(sums[0], sums[1]);
    const __m256i second = _mm256_packs_epi32(sums[2], sums[3]);
    const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(first, second), order);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + x), bytes);
  }
  PortablePasses().vertical(weights, rows, count, x, end, out);
}

}  // namespace

const Passes* Avx2Passes() {
  static constexpr Passes kPasses{Horizontal, Vertical};
  return __builtin_cpu_supports("avx2") ? &kPasses : nullptr;
}

}  // namespace resnet_native

#else

namespace resnet_native {

const Passes* Avx2Passes() { return nullptr; }

}  // namespace resnet_native

#endif
