#include "bench/load/arrivals.h"

#include <cmath>
#include <cstdint>

#include "gtest/gtest.h"

namespace offerd {
namespace {

TEST(ArrivalsTest, FixedGapsDoNotDrift) {
  Arrivals arrivals(Arrivals::Kind::kFixed, 3, 1);
  EXPECT_EQ(arrivals.Next(), 333'333'333);
  EXPECT_EQ(arrivals.Next(), 666'666'667);
  EXPECT_EQ(arrivals.Next(), 1'000'000'000);
  for (int i = 4; i < 3'000'000; ++i) arrivals.Next();
  EXPECT_EQ(arrivals.Next(), 1'000'000 * int64_t{1'000'000'000});
}

TEST(ArrivalsTest, PoissonGapsHaveTheMeanAndSpreadOfTheExponential) {
  constexpr int kCount = 200'000;
  Arrivals arrivals(Arrivals::Kind::kPoisson, 10'000, 1);  // a gap of 100 us
  int64_t before = 0;
  double sum = 0, squares = 0;
  int longer_than_mean = 0;
  for (int i = 0; i < kCount; ++i) {
    const int64_t at = arrivals.Next();
    ASSERT_GE(at, before);
    const double gap = static_cast<double>(at - before);
    sum += gap;
    squares += gap * gap;
    longer_than_mean += gap > 100'000;
    before = at;
  }
  const double mean = sum / kCount;
  EXPECT_NEAR(mean, 100'000, 6 * 100'000 / std::sqrt(kCount));
  EXPECT_NEAR(std::sqrt(squares / kCount - mean * mean), 100'000, 2'000);
  EXPECT_NEAR(static_cast<double>(longer_than_mean) / kCount, std::exp(-1), 6 * 0.5 / std::sqrt(kCount));
}

TEST(ArrivalsTest, TheSameSeedGivesTheSameTimes) {
  Arrivals a(Arrivals::Kind::kPoisson, 50, 9), b(Arrivals::Kind::kPoisson, 50, 9), c(Arrivals::Kind::kPoisson, 50, 10);
  int64_t differing = 0;
  for (int i = 0; i < 100; ++i) {
    const int64_t time = a.Next();
    EXPECT_EQ(time, b.Next());
    differing += time != c.Next();
  }
  EXPECT_GT(differing, 90);
}

}  // namespace
}  // namespace offerd
