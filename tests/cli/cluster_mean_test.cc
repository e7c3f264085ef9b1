#include "cli/cluster_mean.h"

#include <cmath>

#include "gtest/gtest.h"

namespace offerd::cli {
namespace {

TEST(ClusterMeanTest, MatchesTheHandComputedCase) {
  // a: 1, 1, 0   b: 0   c: 1, 0. N = 6, S = 3, mean 1/2; residuals a 2 - 1.5, b 0 - 0.5, c 1 - 1: squares .25 + .25 + 0.
  ClusterMean mean;
  for (const double value : {1, 1, 0}) mean.Add("a", value);
  mean.Add("b", 0);
  for (const double value : {1, 0}) mean.Add("c", value);
  EXPECT_EQ(mean.count(), 6);
  EXPECT_DOUBLE_EQ(mean.mean(), 0.5);
  const double deviation = std::sqrt(0.5 * 3 / 2) / 6;
  ASSERT_TRUE(mean.Interval95().has_value());
  EXPECT_NEAR(mean.Interval95()->lo, 0.5 - 1.959964 * deviation, 1e-6);
  EXPECT_NEAR(mean.Interval95()->hi, 0.5 + 1.959964 * deviation, 1e-6);
}

TEST(ClusterMeanTest, ClustersOfOneGiveTheTextbookInterval) {
  ClusterMean mean;
  for (int i = 0; i < 4; ++i) mean.Add(std::to_string(i), i);
  EXPECT_NEAR(mean.Interval95()->hi - 1.5, 1.959964 * std::sqrt(5.0 / 3) / 2, 1e-6);
}

TEST(ClusterMeanTest, EqualVisitsOfACustomerDoNotNarrowTheInterval) {
  ClusterMean once;
  ClusterMean often;
  for (int customer = 0; customer < 10; ++customer) {
    const double value = customer % 3 == 0 ? 1 : 0;
    once.Add(std::to_string(customer), value);
    for (int visit = 0; visit < 7; ++visit) often.Add(std::to_string(customer), value);
  }
  EXPECT_NEAR(once.Interval95()->lo, often.Interval95()->lo, 1e-12);
}

TEST(ClusterMeanTest, FewerThanTwoClustersHaveNoInterval) {
  ClusterMean mean;
  EXPECT_EQ(mean.mean(), 0);
  EXPECT_FALSE(mean.Interval95().has_value());
  mean.Add("a", 1);
  mean.Add("a", 0);
  EXPECT_EQ(mean.mean(), 0.5);
  EXPECT_FALSE(mean.Interval95().has_value());
}

}  // namespace
}  // namespace offerd::cli
