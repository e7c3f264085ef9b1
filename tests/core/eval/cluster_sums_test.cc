#include "core/eval/cluster_sums.h"

#include <cmath>

#include "core/eval/bootstrap.h"
#include "core/rng.h"
#include "gmock/gmock.h"

namespace offerd {
namespace {

TEST(ClusterSumsTest, AKeyHasOneClusterAndNextOpensANewOne) {
  ClusterSums sums(2);
  sums.Of(7)[0] += 1;
  sums.Of(9)[0] += 10;
  sums.Of(7)[1] += 2;
  sums.Next()[0] += 5;
  ASSERT_EQ(sums.size(), 3u);
  EXPECT_THAT(sums[0], ::testing::ElementsAre(1, 2));
  EXPECT_THAT(sums[1], ::testing::ElementsAre(10, 0));
  EXPECT_THAT(sums.Totals(), ::testing::ElementsAre(16, 2));
}

TEST(ClusterSumsTest, WiderRowsKeepWhatTheyHave) {
  ClusterSums sums(1);
  *sums.Of(3) = 4;
  sums.Widen(3);
  sums.Of(3)[2] = 5;
  sums.Next()[1] = 6;
  EXPECT_THAT(sums[0], ::testing::ElementsAre(4, 0, 5));
  EXPECT_THAT(sums[1], ::testing::ElementsAre(0, 6, 0));
}

TEST(ClusterSumsTest, PastTheLimitClustersJoinAndNothingIsLost) {
  ClusterSums keyed(1), unkeyed(1);
  const size_t kClusters = 2 * ClusterSums::kMaxClusters + 1000;
  for (size_t i = 0; i < kClusters; ++i) {
    *keyed.Of(i * 0x9e3779b97f4a7c15u) += 1;
    *unkeyed.Next() += 1;
  }
  EXPECT_EQ(keyed.size(), ClusterSums::kMaxClusters);
  EXPECT_EQ(unkeyed.size(), ClusterSums::kMaxClusters);
  EXPECT_EQ(keyed.Totals()[0], static_cast<double>(kClusters));
  EXPECT_EQ(unkeyed.Totals()[0], static_cast<double>(kClusters));
  EXPECT_EQ(unkeyed[0][0], 3);  // in turn
  const double* late = keyed.Of((kClusters - 1) * 0x9e3779b97f4a7c15u);
  EXPECT_EQ(late, keyed.Of((kClusters - 1) * 0x9e3779b97f4a7c15u));
  EXPECT_GE(*late, 2);  // its own and that of the cluster it joined
}

TEST(InfluenceVarianceTest, OfAMeanIsTheVarianceOfTheSampleOverN) {
  ClusterSums sums(2);
  for (const double value : {1.0, 2.0, 4.0, 9.0}) {
    double* row = sums.Next();
    row[0] = value;
    row[1] = 1;
  }
  const std::vector<ColumnRatio> mean = {{0, 1}};
  EXPECT_DOUBLE_EQ(SumOfRatios(sums.Totals(), mean), 4);
  EXPECT_DOUBLE_EQ(InfluenceVariance(sums, sums.Totals(), mean), (9 + 4 + 0 + 25) / 3.0 / 4);
}

TEST(InfluenceVarianceTest, OfASumOfRatiosIsThatOfTheJackknife) {
  Rng rng(1);
  ClusterSums sums(4);
  for (int i = 0; i < 2000; ++i) {
    double* row = sums.Next();
    row[1] = 1 + rng.NextUniform();
    row[0] = row[1] * rng.NextUniform();
    row[3] = 2 + rng.NextUniform();
    row[2] = row[0] + row[3] * rng.NextUniform();
  }
  const std::vector<ColumnRatio> ratios = {{0, 1}, {2, 3}};
  const std::vector<double> totals = sums.Totals();
  const double value = SumOfRatios(totals, ratios);
  double squares = 0;
  for (size_t i = 0; i < sums.size(); ++i) {
    std::vector<double> without = totals;
    for (size_t k = 0; k < without.size(); ++k) without[k] -= sums[i][k];
    squares += std::pow(SumOfRatios(without, ratios) - value, 2);
  }
  const double jackknife = squares * 1999 / 2000;
  EXPECT_NEAR(InfluenceVariance(sums, totals, ratios) / jackknife, 1, 0.005);
}

TEST(SumOfRatiosTest, NothingOverNothingIsNoNumber) {
  EXPECT_TRUE(std::isnan(SumOfRatios(std::vector<double>{1, 0}, std::vector<ColumnRatio>{{0, 1}})));
}

TEST(BootstrapTest, ClustersCountByPoissonOneAndTheSeedDecides) {
  constexpr int kClusters = 1500, kReplicates = 4000;
  ClusterSums sums(2);
  for (int i = 0; i < kClusters; ++i) {
    double* row = sums.Next();
    row[0] = 1;
    row[1] = i == 1033 ? 1 : 0;  // one cluster alone, in the second block
  }
  const Eigen::MatrixXd totals = BootstrapTotals(sums, {.replicates = kReplicates, .seed = 5});
  const Eigen::VectorXd all = totals.row(0), one = totals.row(1);
  const double all_mean = all.mean(), one_mean = one.mean();
  EXPECT_NEAR(all_mean, kClusters, 5 * std::sqrt(1.0 * kClusters / kReplicates));
  EXPECT_NEAR((all.array() - all_mean).square().mean(), kClusters, 5 * kClusters * std::sqrt(2.0 / kReplicates));
  EXPECT_NEAR(one_mean, 1, 5 / std::sqrt(kReplicates));
  for (const auto& [count, probability] : {std::pair{0, 0.36788}, {1, 0.36788}, {2, 0.18394}, {3, 0.06131}, {4, 0.01533}, {5, 0.00307}}) {
    const double share = (one.array() == count).cast<double>().mean();
    EXPECT_NEAR(share, probability, 5 * std::sqrt(probability / kReplicates)) << count;
  }
  EXPECT_EQ(totals, BootstrapTotals(sums, {.replicates = kReplicates, .seed = 5}));
  EXPECT_NE(totals, BootstrapTotals(sums, {.replicates = kReplicates, .seed = 6}));
}

TEST(PercentileIntervalTest, TakesTheMiddle95PercentAndLeavesOutWhatCannotBeDivided) {
  Eigen::MatrixXd totals(2, 42);
  for (int i = 0; i <= 40; ++i) totals.col(i) << 40 - i, 1;
  totals.col(41) << 1000, 0;
  const auto [lo, hi] = PercentileInterval95(totals, std::vector<ColumnRatio>{{0, 1}});
  EXPECT_DOUBLE_EQ(lo, 1);
  EXPECT_DOUBLE_EQ(hi, 39);
}

}  // namespace
}  // namespace offerd
