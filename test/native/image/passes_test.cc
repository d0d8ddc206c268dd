#include "native/image/passes.h"

#include <gtest/gtest.h>

#include <numeric>

#include "test/native/image/naive_resize.h"

namespace resnet_native {
namespace {

TEST(BilinearFilter, WeightsSumToOne) {
  for (const auto& [in, out] : {std::pair{480, 256}, {3000, 224}, {5, 5}, {3, 70}, {1, 4}, {4000, 1}}) {
    const Filter filter = BilinearFilter(in, out, 0, out);
    for (int i = 0; i < out; ++i) {
      const auto begin = filter.weights.begin() + i * filter.stride;
      const int64_t sum = std::accumulate(begin, begin + filter.stride, int64_t{0});
      // Each weight is rounded by at most a half.
      EXPECT_NEAR(sum, 1 << kWeightBits, 0.5 * filter.count[i]) << in << " to " << out << " at " << i;
    }
  }
}

TEST(BilinearFilter, HalvingIsTheTriangle) {
  const Filter filter = BilinearFilter(8, 4, 1, 2);
  const int32_t eighth = 1 << (kWeightBits - 3);
  EXPECT_EQ(filter.first[0], 1);
  EXPECT_EQ(filter.count[0], 4);
  EXPECT_EQ(std::vector(filter.weights.begin(), filter.weights.begin() + 4),
            (std::vector{eighth, 3 * eighth, 3 * eighth, eighth}));
}

TEST(BilinearFilter, APartIsAPartOfTheWhole) {
  const Filter whole = BilinearFilter(100, 37, 0, 37);
  const Filter part = BilinearFilter(100, 37, 5, 30);
  ASSERT_EQ(part.first.size(), 25u);
  for (int i = 0; i < 25; ++i) {
    EXPECT_EQ(part.first[i], whole.first[i + 5]);
    EXPECT_EQ(part.count[i], whole.count[i + 5]);
    for (int k = 0; k < part.stride; ++k) {
      EXPECT_EQ(part.weights[i * part.stride + k], whole.weights[(i + 5) * whole.stride + k]);
    }
  }
}

class FastPasses : public testing::Test {
 protected:
  void SetUp() override {
    if (!Avx2Passes()) GTEST_SKIP() << "this processor has no AVX2";
  }
};

// Rows of `filter`'s outputs, each with the bytes behind it that may be overwritten cut off.
std::vector<std::vector<uint8_t>> Narrow(const Passes& passes, const Filter& filter,
                                         const std::vector<std::vector<uint8_t>>& rows) {
  const size_t bytes = filter.first.size() * 3;
  std::vector<std::vector<uint8_t>> outs(rows.size(), std::vector<uint8_t>(bytes + kRowSlack));
  std::vector<const uint8_t*> from;
  std::vector<uint8_t*> to;
  for (size_t i = 0; i < rows.size(); ++i) {
    from.push_back(rows[i].data());
    to.push_back(outs[i].data());
  }
  passes.horizontal(filter, from.data(), static_cast<int64_t>(rows.size()), to.data());
  for (std::vector<uint8_t>& out : outs) out.resize(bytes);
  return outs;
}

TEST_F(FastPasses, HorizontalEqualsPortable) {
  for (const auto& [in, out] :
       {std::pair{1, 1}, {1, 7}, {2, 1}, {3, 2}, {5, 3}, {61, 17}, {64, 64}, {500, 1}, {9000, 2}}) {
    const Filter filter = BilinearFilter(in, out, 0, out);
    std::vector<std::vector<uint8_t>> rows;
    for (int64_t count = 1; count <= 2 * kRowsAtOnce + 1; ++count) {
      rows.push_back(naive::NoisePixels(1, in, in + count));
      rows.back().resize(in * 3 + kRowSlack, 201);
      EXPECT_EQ(Narrow(*Avx2Passes(), filter, rows), Narrow(PortablePasses(), filter, rows))
          << in << " to " << out << ", " << count << " rows";
    }
  }
}

TEST_F(FastPasses, VerticalEqualsPortableAndKeepsToItsRange) {
  const Filter filter = BilinearFilter(23, 3, 1, 2);
  const std::vector<uint8_t> pixels = naive::NoisePixels(filter.count[0], 50, 9);
  std::vector<const uint8_t*> rows;
  for (int32_t k = 0; k < filter.count[0]; ++k) rows.push_back(&pixels[k * 150]);
  for (size_t begin = 0; begin < 5; ++begin) {
    for (size_t end = begin; end <= 150; ++end) {
      std::vector<uint8_t> expected(150, 9), actual(150, 9);
      PortablePasses().vertical(filter.weights.data(), rows.data(), filter.count[0], begin, end,
                                expected.data());
      Avx2Passes()->vertical(filter.weights.data(), rows.data(), filter.count[0], begin, end, actual.data());
      ASSERT_EQ(actual, expected) << begin << " to " << end;
      ASSERT_TRUE(end == 150 || actual[end] == 9);
    }
  }
}

// The largest sum there is: every weight twice its exact value. It must come out white, not wrapped around.
TEST_F(FastPasses, TheLargestSumSaturates) {
  Filter filter;
  filter.first = {0};
  filter.stride = 4096;
  filter.count = {4096};
  filter.weights.assign(4096, 2 * (1 << kWeightBits) / 4096);
  const std::vector<uint8_t> white(4096 * 3 + kRowSlack, 255);
  for (const Passes* passes : {&PortablePasses(), Avx2Passes()}) {
    const std::vector<std::vector<uint8_t>> rows_of_white(kRowsAtOnce + 1, white);
    for (const auto& out : Narrow(*passes, filter, rows_of_white))
      EXPECT_EQ(out, std::vector<uint8_t>(3, 255));
    const std::vector<const uint8_t*> rows(4096, white.data());
    std::vector<uint8_t> column(40);
    passes->vertical(filter.weights.data(), rows.data(), 4096, 0, 40, column.data());
    EXPECT_EQ(column, std::vector<uint8_t>(40, 255));
  }
}

}  // namespace
}  // namespace resnet_native
