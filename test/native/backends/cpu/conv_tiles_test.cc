#include "native/backends/cpu/conv_tiles.h"

#include <gtest/gtest.h>

namespace resnet_native::cpu {
namespace {

// Every line of the weights is fetched once, whatever the number of tiles.
TEST(WeightPrefetch, CoversTheWeights) {
  const std::vector<char> weights(64 * 1000);
  for (const int64_t lines : {1, 7, 64, 1000}) {
    for (const int64_t steps : {1, 16, 100}) {
      for (const int64_t tiles : {1, 3, 40}) {
        const WeightPrefetch prefetch(weights.data(), lines * kCacheLine, steps, tiles);
        int64_t fetched = 0;
        for (int64_t t = 0; t < tiles; ++t) {
          ConvTile tile{};
          prefetch.ForTile(t, tile);
          if (tile.prefetch_lines == 0) continue;
          EXPECT_EQ(tile.prefetch, weights.data() + fetched * kCacheLine);
          fetched += tile.prefetch_lines * steps;
        }
        EXPECT_GE(fetched, lines);
        // What it fetches beyond is less than a line for each step of each tile.
        EXPECT_LT(fetched, lines + steps * tiles);
      }
    }
  }
}

TEST(WeightPrefetch, ASumTooShortFetchesNothing) {
  ConvTile tile{};
  WeightPrefetch(nullptr, 640, 0, 4).ForTile(0, tile);
  EXPECT_EQ(tile.prefetch_lines, 0);
}

}  // namespace
}  // namespace resnet_native::cpu
