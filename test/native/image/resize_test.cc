#include "native/image/resize.h"

#include <gtest/gtest.h>

#include <limits>
#include <memory>

#include "native/error.h"
#include "test/native/image/naive_resize.h"

namespace resnet_native {
namespace {

std::vector<uint8_t> RunResize(const std::vector<uint8_t>& pixels, int64_t height, int64_t width,
                               const ResizeCropGeometry& geometry) {
  std::vector<uint8_t> out(CheckResizeCrop(pixels.size(), height, width, geometry), 77);
  ResizeCrop(pixels, height, width, geometry, out);
  return out;
}

ResizeCropGeometry Whole(int64_t height, int64_t width) { return {height, width, 0, 0, height, width}; }

struct Case {
  int64_t height, width;
  ResizeCropGeometry geometry;
};

void PrintTo(const Case& c, std::ostream* os) {
  const ResizeCropGeometry& g = c.geometry;
  *os << c.height << "x" << c.width << " to " << g.resized_height << "x" << g.resized_width << " crop "
      << g.top << "," << g.left << "+" << g.crop_height << "x" << g.crop_width;
}

class ResizeEqualsNaive : public testing::TestWithParam<Case> {};

TEST_P(ResizeEqualsNaive, ByteForByte) {
  const auto& [height, width, geometry] = GetParam();
  const std::vector<uint8_t> pixels = naive::NoisePixels(height, width, 3);
  const naive::Picture expected =
      naive::Resize(naive::ToPicture(pixels, height, width), geometry.resized_height, geometry.resized_width,
                    naive::PillowRounding());
  EXPECT_EQ(RunResize(pixels, height, width, geometry), naive::Crop(expected, geometry));
}

INSTANTIATE_TEST_SUITE_P(Shapes, ResizeEqualsNaive,
                         testing::Values(Case{1, 1, Whole(1, 1)},      //
                                         Case{1, 1, Whole(9, 13)},     // enlarged from nothing
                                         Case{7, 5, Whole(7, 5)},      // nothing to do
                                         Case{40, 30, Whole(40, 17)},  // one axis only
                                         Case{40, 30, Whole(17, 30)},
                                         Case{1, 200, Whole(1, 3)},    // tails of every kernel
                                         Case{200, 1, Whole(3, 1)},    //
                                         Case{3, 2, Whole(64, 70)},    // enlarged
                                         Case{48, 64, Whole(32, 42)},  // a photograph's way
                                         Case{97, 61, Whole(11, 61)},  // vertically first
                                         Case{97, 31, Whole(50, 16)},  //
                                         Case{97, 31, Whole(20, 90)},  //
                                         Case{20, 97, Whole(90, 31)},  //
                                         Case{61, 97, Whole(1, 1)}));

INSTANTIATE_TEST_SUITE_P(Crops, ResizeEqualsNaive,
                         testing::Values(Case{48, 64, {32, 42, 2, 7, 28, 28}},     //
                                         Case{48, 64, {32, 42, 31, 41, 1, 1}},     // the last pixel
                                         Case{97, 31, {50, 16, 11, 3, 28, 9}},     // vertically first
                                         Case{97, 31, {50, 16, 49, 15, 1, 1}},     //
                                         Case{48, 64, {16, 21, -3, -2, 22, 25}},   // zeros all round
                                         Case{97, 31, {50, 16, -4, -5, 58, 27}},   //
                                         Case{48, 64, {16, 21, -30, 0, 20, 21}},   // wholly above
                                         Case{48, 64, {16, 21, 0, 21, 16, 4}},     // wholly to the right
                                         Case{5, 4, {300, 240, 100, 100, 33, 35}}  // inside an enlargement
                                         ));

TEST(Resize, EqualsNaiveOnManySizes) {
  std::mt19937 random(11);
  const auto pick = [&](int64_t most) { return static_cast<int64_t>(random() % most) + 1; };
  for (int i = 0; i < 300; ++i) {
    const int64_t height = pick(60), width = pick(60);
    const ResizeCropGeometry geometry{pick(50), pick(50), pick(60) - 20, pick(60) - 20, pick(50), pick(50)};
    const std::vector<uint8_t> pixels = naive::NoisePixels(height, width, i);
    const naive::Picture expected =
        naive::Resize(naive::ToPicture(pixels, height, width), geometry.resized_height,
                      geometry.resized_width, naive::PillowRounding());
    ASSERT_EQ(RunResize(pixels, height, width, geometry), naive::Crop(expected, geometry))
        << testing::PrintToString(Case{height, width, geometry});
  }
}

// Fixed point against real numbers. Each of a pass's n weights is off by at most 2^-23, on bytes up to 255,
// and the pass rounds by at most a half; the second pass averages the first one's error (its weights sum to
// one, nearly).
TEST(Resize, IsCloseToExactArithmetic) {
  const int64_t height = 90, width = 120;
  const std::vector<uint8_t> pixels = naive::NoisePixels(height, width, 5);
  const naive::Picture exact =
      naive::Resize(naive::ToPicture(pixels, height, width), 32, 42, naive::Rounding{});
  const std::vector<uint8_t> actual = RunResize(pixels, height, width, Whole(32, 42));
  const double tolerance = 2 * (0.5 + std::max(height, width) * 255 * std::ldexp(1, -23));
  for (size_t i = 0; i < actual.size(); ++i) ASSERT_NEAR(actual[i], exact.values[i], tolerance) << i;
}

// Memory that ends right after the image: with AddressSanitizer, a read beyond it ends the test.
TEST(Resize, ReadsOnlyTheImage) {
  for (int64_t width = 1; width < 24; ++width) {
    for (int64_t height = 1; height < 8; ++height) {
      const std::vector<uint8_t> noise = naive::NoisePixels(height, width, 1);
      const auto exact = std::make_unique<uint8_t[]>(noise.size());
      std::ranges::copy(noise, exact.get());
      for (const ResizeCropGeometry& geometry : {Whole(3, 5), Whole(height, 4), Whole(1, 9)}) {
        std::vector<uint8_t> out(geometry.crop_height * geometry.crop_width * 3);
        const auto exact_out = std::make_unique<uint8_t[]>(out.size());
        ResizeCrop({exact.get(), noise.size()}, height, width, geometry, {exact_out.get(), out.size()});
        EXPECT_EQ(RunResize(noise, height, width, geometry),
                  std::vector(exact_out.get(), exact_out.get() + out.size()));
      }
    }
  }
}

// A white picture stays white however many weights round up: a strip this long has weights of one or none.
TEST(Resize, LongStripsDoNotOverflow) {
  const int64_t length = 6'000'000;
  const std::vector<uint8_t> white(length * 3, 255);
  const std::vector<uint8_t> across = RunResize(white, 1, length, Whole(1, 1));
  const std::vector<uint8_t> down = RunResize(white, length, 1, Whole(1, 1));
  EXPECT_EQ(across, down);
  EXPECT_EQ(across[0], across[2]);
  EXPECT_GT(across[0], 200);
}

ErrorCode CodeOf(size_t bytes, int64_t height, int64_t width, const ResizeCropGeometry& geometry) {
  try {
    CheckResizeCrop(bytes, height, width, geometry);
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::kInternal;
}

TEST(Resize, RefusesBadSizes) {
  const int64_t huge = std::numeric_limits<int64_t>::max();
  const ResizeCropGeometry good = Whole(2, 2);
  EXPECT_EQ(CodeOf(11, 2, 2, good), ErrorCode::kInvalidShape);
  EXPECT_EQ(CodeOf(0, 0, 2, good), ErrorCode::kInvalidShape);
  for (const int64_t bad : {int64_t{0}, int64_t{-1}, -huge, huge, kMaxImageSide + 1}) {
    EXPECT_EQ(CodeOf(12, bad, 2, good), ErrorCode::kInvalidShape);
    EXPECT_EQ(CodeOf(12, 2, bad, good), ErrorCode::kInvalidShape);
    EXPECT_EQ(CodeOf(12, 2, 2, {bad, 2, 0, 0, 2, 2}), ErrorCode::kInvalidShape);
    EXPECT_EQ(CodeOf(12, 2, 2, {2, bad, 0, 0, 2, 2}), ErrorCode::kInvalidShape);
    EXPECT_EQ(CodeOf(12, 2, 2, {2, 2, 0, 0, bad, 2}), ErrorCode::kInvalidShape);
    EXPECT_EQ(CodeOf(12, 2, 2, {2, 2, 0, 0, 2, bad}), ErrorCode::kInvalidShape);
  }
  for (const int64_t bad : {huge, -huge, kMaxImageSide + 1, -kMaxImageSide - 1}) {
    EXPECT_EQ(CodeOf(12, 2, 2, {2, 2, bad, 0, 2, 2}), ErrorCode::kInvalidShape);
    EXPECT_EQ(CodeOf(12, 2, 2, {2, 2, 0, bad, 2, 2}), ErrorCode::kInvalidShape);
  }
}

TEST(Resize, RefusesAnOutputOfAnotherSize) {
  const std::vector<uint8_t> pixels(12);
  std::vector<uint8_t> out(11);
  EXPECT_THROW(ResizeCrop(pixels, 2, 2, Whole(2, 2), out), Error);
}

}  // namespace
}  // namespace resnet_native
