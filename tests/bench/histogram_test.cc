#include "bench/load/histogram.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "core/rng.h"
#include "gtest/gtest.h"

namespace offerd {
namespace {

TEST(HistogramTest, EmptyHasNothingToSay) {
  const Histogram h;
  EXPECT_EQ(h.count(), 0);
  EXPECT_EQ(h.Percentile(0.5), 0);
  EXPECT_EQ(h.max(), 0);
  EXPECT_EQ(h.mean(), 0);
  EXPECT_TRUE(h.Buckets().empty());
}

TEST(HistogramTest, SmallValuesAreExact) {
  Histogram h;
  for (int64_t value = 1; value <= 100; ++value) h.Record(value);
  EXPECT_EQ(h.Percentile(0.5), 50);
  EXPECT_EQ(h.Percentile(0.99), 99);
  EXPECT_EQ(h.Percentile(0.991), 100);
  EXPECT_EQ(h.Percentile(1), 100);
  EXPECT_EQ(h.Percentile(0), 1);
  EXPECT_EQ(h.mean(), 50.5);
}

TEST(HistogramTest, AThousandthIsTheValueThatTheRestDoesNotExceed) {
  Histogram h;
  for (int i = 0; i < 999; ++i) h.Record(10);
  h.Record(1'000'000);
  EXPECT_EQ(h.Percentile(0.999), 10);
  EXPECT_EQ(h.Percentile(0.9995), 1'000'000);  // not the bound of its bucket: nothing was that slow
}

TEST(HistogramTest, NegativeCountsAsZeroAndTheLargestNumberFits) {
  Histogram h;
  h.Record(-5);
  h.Record(INT64_MAX);
  EXPECT_EQ(h.Percentile(0.5), 0);
  EXPECT_EQ(h.Percentile(1), INT64_MAX);
  EXPECT_EQ(h.Buckets().size(), 2u);
}

TEST(HistogramTest, PercentilesAreThoseOfASortToOneIn128) {
  const uint64_t seed = 7;
  Rng rng(seed);
  Histogram h;
  std::vector<int64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(std::llround(std::exp(25 * rng.NextUniform())));  // 1 to 7e10, even over the orders of magnitude
    h.Record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double share : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
    const int64_t exact = values[static_cast<size_t>(std::ceil(share * 20'000)) - 1];
    EXPECT_GE(h.Percentile(share), exact) << share << " seed " << seed;
    EXPECT_LE(static_cast<double>(h.Percentile(share)), static_cast<double>(exact) * (1 + 1.0 / 128)) << share;
  }
}

TEST(HistogramTest, EveryValueLiesInTheBucketThatCountsIt) {
  for (int bit = 0; bit < 62; ++bit) {
    for (const int64_t offset : {-1, 0, 1}) {
      const int64_t value = std::max<int64_t>((int64_t{1} << bit) + offset, 0);
      Histogram h;
      h.Record(value);
      const auto buckets = h.Buckets();
      ASSERT_EQ(buckets.size(), 1u);
      EXPECT_GE(buckets[0].first, value);
      EXPECT_LE(buckets[0].first, value + value / 128);
    }
  }
}

TEST(HistogramTest, MergedIsAsIfRecordedInOne) {
  Histogram a, b, both;
  for (int64_t value = 0; value < 3000; ++value) {
    (value % 3 == 0 ? a : b).Record(value * value);
    both.Record(value * value);
  }
  a.Merge(b);
  EXPECT_EQ(a.count(), both.count());
  EXPECT_EQ(a.max(), both.max());
  EXPECT_EQ(a.Buckets(), both.Buckets());
  EXPECT_DOUBLE_EQ(a.mean(), both.mean());
}

}  // namespace
}  // namespace offerd
