#include "native/backends/cpu/steps/winograd_step.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "native/backends/reference/kernels.h"
#include "test/native/support/cpu_steps.h"

// Winograd's convolution on every instruction set against the reference's direct one.

namespace resnet_native::cpu {
namespace {

using namespace testing;

using Matrix = std::vector<std::vector<double>>;

// Bᵀ and Aᵀ, row by row, as Lavin and Gray define them for the points that winograd_kernels-inl.h names.
struct Transforms {
  Matrix input, output;
};

const Transforms& TransformsOf(WinogradTile tile) {
  static const double r = std::sqrt(2.0), h = std::sqrt(0.5);
  static const Transforms f2{{{-1, 0, 1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}},
                             {{1, 1, 1, 0}, {0, 1, -1, 1}}};
  static const Transforms f4{{{1, 0, -2.5, 0, 1, 0},
                              {0, -r, -2, h, 1, 0},
                              {0, r, -2, -h, 1, 0},
                              {0, -h, -0.5, r, 1, 0},
                              {0, h, -0.5, -r, 1, 0},
                              {0, 1, 0, -2.5, 0, 1}},
                             {{1, 1, 1, 1, 1, 0},
                              {0, h, -h, r, -r, 0},
                              {0, 0.5, 0.5, 2, 2, 0},
                              {0, h / 2, -h / 2, 2 * r, -2 * r, 1}}};
  return tile == WinogradTile::kF2 ? f2 : f4;
}

Matrix Product(const Matrix& a, const Matrix& b) {
  Matrix c(a.size(), std::vector<double>(b[0].size(), 0.0));
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t k = 0; k < b.size(); ++k) {
      for (size_t j = 0; j < b[0].size(); ++j) c[i][j] += a[i][k] * b[k][j];
    }
  }
  return c;
}

Matrix Transposed(const Matrix& a) {
  Matrix t(a[0].size(), std::vector<double>(a.size()));
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < a[0].size(); ++j) t[j][i] = a[i][j];
  }
  return t;
}

Matrix Magnitudes(Matrix a) {
  for (auto& row : a) {
    for (double& value : row) value = std::abs(value);
  }
  return a;
}

// t x tᵀ
Matrix TwoSided(const Matrix& t, const Matrix& x) { return Product(Product(t, x), Transposed(t)); }

// The filters' transform as the step packs it.
Matrix TransformedFilter(WinogradTile tile, const Conv2dOp& op, int64_t out, int64_t channel) {
  double filter[9], transformed[36];
  const Weight values = op.filters.values.Read((out * op.in_channels + channel) * 9, 9);
  for (int k = 0; k < 9; ++k) filter[k] = values[k] * op.filters.Scale(static_cast<int>(out));
  TransformFilters(tile, filter, 1, transformed);
  const int points = PointsOf(tile);
  Matrix result(points, std::vector<double>(points));
  for (int i = 0; i < points; ++i) {
    for (int j = 0; j < points; ++j) result[i][j] = transformed[i * points + j];
  }
  return result;
}

// Σ over the channels of Aᵀ [(G g Gᵀ) ∘ (Bᵀ d B)] A for one tile, in double; with `magnitudes` every factor
// is replaced by its magnitude.
Matrix TileResult(WinogradTile tile, const Conv2dOp& op, const Activation& x, int64_t n, int64_t h, int64_t w,
                  int64_t out, bool magnitudes) {
  const auto maybe = [&](Matrix a) { return magnitudes ? Magnitudes(std::move(a)) : a; };
  const Matrix input = maybe(TransformsOf(tile).input), output = maybe(TransformsOf(tile).output);
  const int points = PointsOf(tile);
  Matrix sum(points, std::vector<double>(points, 0.0));
  for (int64_t c = 0; c < op.in_channels; ++c) {
    Matrix d(points, std::vector<double>(points, 0.0));
    for (int i = 0; i < points; ++i) {
      for (int j = 0; j < points; ++j) {
        const int64_t row = h - op.window.pad_h + i, column = w - op.window.pad_w + j;
        const bool inside = row >= 0 && row < x.shape.h && column >= 0 && column < x.shape.w;
        if (inside) d[i][j] = x.data[((n * x.shape.h + row) * x.shape.w + column) * x.shape.c + c];
      }
    }
    const Matrix v = TwoSided(input, maybe(d)), u = maybe(TransformedFilter(tile, op, out, c));
    for (int i = 0; i < points; ++i) {
      for (int j = 0; j < points; ++j) sum[i][j] += u[i][j] * v[i][j];
    }
  }
  return TwoSided(output, sum);
}

// The largest error that float32 arithmetic may make in each output. In every value that reaches an output
// the input's transform rounds at most six times for each of its two sides (three products by rounded
// constants, three sums), the filter once, the sum over C channels C times, the way back at most eight times
// for each side, and bias, residual and the result three times: (C + 32) u to first order, relative to the
// same expression over magnitudes (Higham, Accuracy and Stability, 3.1). Four more for the reference and
// second order.
std::vector<double> WinogradTolerance(WinogradTile tile, const Conv2dOp& op, const Activation& x,
                                      const Activation* residual, const TensorShape& y) {
  std::vector<double> tolerance(y.elements());
  const int outputs = OutputsOf(tile);
  const double u = std::ldexp(1.0, -24);
  for (int64_t index = 0; index < y.elements(); ++index) {
    const int64_t c = index % y.c, w = index / y.c % y.w, h = index / y.c / y.w % y.h,
                  n = index / y.c / y.w / y.h;
    if (h % outputs != 0 || w % outputs != 0) continue;
    const Matrix magnitudes = TileResult(tile, op, x, n, h, w, c, true);
    for (int64_t i = 0; i < outputs && h + i < y.h; ++i) {
      for (int64_t j = 0; j < outputs && w + j < y.w; ++j) {
        const int64_t at = index + (i * y.w + j) * y.c;
        const double added =
            std::abs(op.bias.empty() ? 0.0f : op.bias[c]) + std::abs(residual ? residual->data[at] : 0.0f);
        tolerance[at] = (op.in_channels + 36) * u * (magnitudes[i][j] + added);
      }
    }
  }
  return tolerance;
}

struct WinogradCase {
  const char* what;
  TensorShape x;
  int out_channels;
  int pad;
};

const WinogradCase kCases[] = {
    {"whole tiles", {1, 8, 8, 16}, 16, 1},
    {"one of everything", {1, 1, 1, 1}, 1, 1},
    {"a tail in every dimension", {1, 7, 9, 19}, 37, 1},
    {"a batch", {3, 5, 6, 8}, 24, 1},
    {"no padding", {2, 9, 7, 12}, 10, 0},
    {"much padding", {1, 3, 4, 6}, 9, 4},
    {"one row", {1, 1, 21, 9}, 12, 1},
    {"one column", {1, 21, 1, 9}, 12, 1},
    {"many tiles for each thread", {4, 17, 18, 5}, 6, 1},
    {"few tiles of many channels", {1, 7, 7, 130}, 70, 1},
};

class WinogradStepTest : public EachIsa {};
RESNET_NATIVE_EACH_ISA(WinogradStepTest);

TEST_P(WinogradStepTest, MatchesReference) {
  for (const WinogradTile tile : {WinogradTile::kF2, WinogradTile::kF4}) {
    for (const WinogradCase& conv : kCases) {
      SCOPED_TRACE(std::string(conv.what) + (tile == WinogradTile::kF2 ? ", 2x2" : ", 4x4"));
      const Window window = Square(3, 1, conv.pad);
      Conv2dOp op = RandomConv(static_cast<int>(conv.x.c), conv.out_channels, window);
      const Activation x = RandomActivation(conv.x.n, conv.x.h, conv.x.w, conv.x.c);
      const TensorShape y{conv.x.n, window.OutH(conv.x.h), window.OutW(conv.x.w), conv.out_channels};
      const Activation residual = RandomActivation(y.n, y.h, y.w, y.c, 5);
      for (const bool epilogue : {false, true}) {
        op.relu = op.has_residual = epilogue;
        const Activation* added = epilogue ? &residual : nullptr;
        std::vector<float> expected(y.elements());
        reference::Conv2d(op, {x.data.data(), x.shape}, added ? added->data.data() : nullptr, y,
                          expected.data());
        ThreadPool one(1), three(3);
        const WinogradStep step(op, tile, DType::kFloat32, {kernels(), one});
        const std::vector<float> actual = RunStep(step, one, x, added, y);
        ExpectWithin(expected, actual, WinogradTolerance(tile, op, x, added, y));
        ExpectSameBits(actual, RunStep(step, three, x, added, y));
      }
    }
  }
}

TEST_P(WinogradStepTest, AnImageGivesTheSameBitsAloneAndInABatch) {
  const Activation batch = RandomActivation(3, 7, 7, 40);
  const Conv2dOp op = RandomConv(40, 24, Square(3, 1, 1));
  ThreadPool pool(2);
  const WinogradStep step(op, WinogradTile::kF4, DType::kFloat32, {kernels(), pool});
  const std::vector<float> all = RunStep(step, pool, batch, nullptr, {3, 7, 7, 24});
  const size_t image = 7 * 7 * 40, result = 7 * 7 * 24;
  for (size_t n = 0; n < 3; ++n) {
    const Activation one{{1, 7, 7, 40},
                         {batch.data.begin() + n * image, batch.data.begin() + (n + 1) * image}};
    const std::vector<float> expected(all.begin() + n * result, all.begin() + (n + 1) * result);
    ExpectSameBits(expected, RunStep(step, pool, one, nullptr, {1, 7, 7, 24}));
  }
}

TEST_P(WinogradStepTest, NaNReachesAllThatItFeeds) {
  Activation x = RandomActivation(1, 6, 8, 12);
  x.data[(3 * 8 + 4) * 12 + 5] = std::numeric_limits<float>::quiet_NaN();
  Conv2dOp op = RandomConv(12, 20, Square(3, 1, 1));
  op.relu = true;
  ThreadPool pool(1);
  const WinogradStep step(op, WinogradTile::kF4, DType::kFloat32, {kernels(), pool});
  const std::vector<float> y = RunStep(step, pool, x, nullptr, {1, 6, 8, 20});
  for (int h = 2; h <= 4; ++h) {
    for (int w = 3; w <= 5; ++w) {
      for (int c = 0; c < 20; ++c) EXPECT_TRUE(std::isnan(y[(h * 8 + w) * 20 + c])) << h << ", " << w;
    }
  }
}

TEST(Winograd, TheTransformsComputeAConvolution) {
  for (const WinogradTile tile : {WinogradTile::kF2, WinogradTile::kF4}) {
    const Activation x = RandomActivation(1, 4, 4, 3);
    Conv2dOp op = RandomConv(3, 2, Square(3, 1, 1));
    op.bias = {};
    std::vector<float> expected(4 * 4 * 2);
    reference::Conv2d(op, {x.data.data(), x.shape}, nullptr, {1, 4, 4, 2}, expected.data());
    for (int out = 0; out < 2; ++out) {
      const Matrix y = TileResult(tile, op, x, 0, 0, 0, out, false);
      for (int i = 0; i < OutputsOf(tile); ++i) {
        for (int j = 0; j < OutputsOf(tile); ++j) EXPECT_NEAR(y[i][j], expected[(i * 4 + j) * 2 + out], 1e-6);
      }
    }
  }
}

TEST(Winograd, IsChosenWhereItPays) {
  const auto chosen = [](int in, int out, Window window, int groups, TensorShape y, MemoryMode memory) {
    return CheapestAlgorithm(RandomConv(in, out, window, groups), y, memory);
  };
  const Window same = Square(3, 1, 1);
  const TensorShape large{8, 56, 56};
  EXPECT_EQ(chosen(64, 64, same, 1, {1, 56, 56}, MemoryMode::kAuto), WinogradTile::kF4);
  // Few tiles: the filters' bytes decide.
  EXPECT_EQ(chosen(512, 512, same, 1, {2, 7, 7}, MemoryMode::kAuto), WinogradTile::kF2);
  EXPECT_EQ(chosen(512, 512, same, 1, {1, 7, 7}, MemoryMode::kAuto), std::nullopt);
  EXPECT_EQ(chosen(512, 512, same, 1, {32, 7, 7}, MemoryMode::kAuto), WinogradTile::kF4);
  EXPECT_EQ(chosen(64, 64, same, 1, large, MemoryMode::kLow), std::nullopt);
  EXPECT_EQ(chosen(64, 64, Square(3, 2, 1), 1, large, MemoryMode::kAuto), std::nullopt);
  EXPECT_EQ(chosen(64, 64, Square(3, 1, 2, 2), 1, large, MemoryMode::kAuto), std::nullopt);
  EXPECT_EQ(chosen(64, 64, Square(1), 1, large, MemoryMode::kAuto), std::nullopt);
  EXPECT_EQ(chosen(64, 64, same, 2, large, MemoryMode::kAuto), std::nullopt);
  EXPECT_EQ(chosen(3, 64, same, 1, large, MemoryMode::kAuto), std::nullopt);
}

// Of filters with 512 channels F(4×4) takes 28 MB more than the weights, F(2×2) 7 MB.
TEST(Winograd, GivesWayWhereItsFiltersAreWorthLeast) {
  const Conv2dOp wide = RandomConv(512, 512, Square(3, 1, 1)), narrow = RandomConv(64, 64, Square(3, 1, 1));
  const ConvResult few_tiles{&wide, {8, 7, 7}}, many_tiles{&wide, {8, 28, 28}};
  const ConvResult small{&narrow, {8, 56, 56}};
  const auto chosen = [](const std::vector<ConvResult>& convs) {
    return CheapestAlgorithms(convs, MemoryMode::kAuto);
  };
  using enum WinogradTile;
  EXPECT_EQ(chosen({few_tiles, small}), (std::vector<ConvAlgorithm>{kF4, kF4}));
  EXPECT_EQ(chosen({few_tiles, many_tiles, small}), (std::vector<ConvAlgorithm>{kF2, kF4, kF4}));
  // A pointwise convolution's weights count, too.
  const Conv2dOp pointwise = RandomConv(2048, 1024, Square(1));
  const ConvResult weights{&pointwise, {8, 7, 7}};
  EXPECT_EQ(chosen({few_tiles, many_tiles, weights, small}),
            (std::vector<ConvAlgorithm>{kF2, kF4, std::nullopt, kF4}));
  EXPECT_EQ(chosen({few_tiles, many_tiles, weights, weights, small}),
            (std::vector<ConvAlgorithm>{kF4, kF4, std::nullopt, std::nullopt, kF4}));
  EXPECT_EQ(CheapestAlgorithms({few_tiles, small}, MemoryMode::kLow),
            (std::vector<ConvAlgorithm>{std::nullopt, std::nullopt}));
  // 12 times 28 MB are more than 320, however large the weights beside them.
  std::vector<ConvResult> large(12, many_tiles);
  large.insert(large.end(), 12, weights);
  std::vector<ConvAlgorithm> one_less(12, kF4);
  one_less.front() = kF2;
  one_less.insert(one_less.end(), 12, std::nullopt);
  EXPECT_EQ(chosen(large), one_less);
}

}  // namespace
}  // namespace resnet_native::cpu
