#include "core/similarity/score_order.h"

#include "core/rng.h"
#include "core/similarity/best_of.h"
#include "gtest/gtest.h"
#include "tests/support/reference/lists_reference.h"

namespace offerd {
namespace {

TEST(ScoreOrderTest, LargerScoresFirst) {
  EXPECT_TRUE(ScoreOrder<12>()({2, 9}, {1, 0}));
  EXPECT_FALSE(ScoreOrder<12>()({1, 0}, {2, 9}));
  EXPECT_TRUE(ScoreOrder<12>()({-1, 9}, {-2, 0}));
}

TEST(ScoreOrderTest, ScoresEqualInTheirDigitsAreInOrderOfNumber) {
  EXPECT_TRUE(ScoreOrder<12>()({0.3, 1}, {0.1 + 0.2, 2}));
  EXPECT_FALSE(ScoreOrder<12>()({0.1 + 0.2, 2}, {0.3, 1}));
  EXPECT_TRUE(ScoreOrder<9>()({0.123456789, 1}, {0.1234567892, 2}));
  EXPECT_FALSE(ScoreOrder<12>()({0.123456789, 1}, {0.1234567892, 2}));
}

TEST(ScoreOrderTest, ScoresThatRoundApartAreNotEqualHoweverCloseTheyAre) {
  const double below = 0.12345678901249999, above = 0.12345678901250001;  // ...012 and ...013
  EXPECT_FALSE(ScoreOrder<12>()({below, 1}, {above, 2}));
  EXPECT_TRUE(ScoreOrder<12>()({above, 2}, {below, 1}));
}

TEST(ScoreOrderTest, AgreesWithComparingPrintedNumbersNearTheLastDigit) {
  Rng rng(1);
  const ScoreOrder<12> order;
  for (int i = 0; i < 20000; ++i) {
    const double scale = std::pow(10, static_cast<double>(rng.NextBits() % 12) - 6) * (i % 2 == 0 ? 1 : -1);
    const double a = scale * (i % 3 == 0 ? 1 : rng.NextUniform());
    const double b = a * (1 + 3e-11 * (rng.NextUniform() - 0.5));
    const double rounded_a = RoundedTo(a, 12), rounded_b = RoundedTo(b, 12);
    EXPECT_EQ(order({a, 1}, {b, 2}), rounded_a >= rounded_b) << i << ": " << a << " " << b;
    EXPECT_EQ(order({a, 2}, {b, 1}), rounded_a > rounded_b) << i << ": " << a << " " << b;
  }
}

TEST(BestOfTest, KeepsTheFirstOfASort) {
  Rng rng(2);
  BestOf<uint64_t, std::greater<uint64_t>> best;
  for (size_t size : {0, 1, 5, 99, 1000}) {
    for (size_t keep : {0, 1, 5, 20, 100, 2000}) {
      std::vector<uint64_t> numbers(size);
      for (uint64_t& number : numbers) number = rng.NextBits() % (2 * size);
      best.Start(keep);
      for (uint64_t number : numbers) best.Offer(number);
      const auto found = best.Sorted();
      std::sort(numbers.begin(), numbers.end(), std::greater<uint64_t>());
      if (numbers.size() > keep) numbers.resize(keep);
      EXPECT_EQ(std::vector<uint64_t>(found.begin(), found.end()), numbers) << size << ", keep " << keep;
    }
  }
}

TEST(BestOfTest, KeepsEverythingWhenAskedForMoreThanMemoryHolds) {
  BestOf<uint64_t, std::greater<uint64_t>> best;
  best.Start(std::numeric_limits<size_t>::max());
  for (uint64_t number = 0; number < 500; ++number) best.Offer(number);
  EXPECT_EQ(best.Sorted().size(), 500u);
}

}  // namespace
}  // namespace offerd
