#include "core/policy/marginal_likelihood.h"

#include <Eigen/Dense>
#include <cmath>

#include "core/rng.h"
#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

struct Rows {
  Eigen::MatrixXd x;
  Eigen::VectorXd reward;
  LinearStatistics statistics{1};
};

Rows MakeRows(int n, int d, double coefficient, double noise, uint64_t seed) {
  Rng rng(seed);
  Eigen::VectorXd theta(d);
  for (double& value : theta) value = coefficient * rng.NextNormal();
  Rows rows{Eigen::MatrixXd(n, d), Eigen::VectorXd(n), LinearStatistics(d)};
  for (int i = 0; i < n; ++i) {
    Eigen::VectorXf x(d);
    for (float& value : x) value = static_cast<float>(rng.NextNormal());
    rows.x.row(i) = x.cast<double>().transpose();
    rows.reward[i] = rows.x.row(i).dot(theta) + noise * rng.NextNormal();
    EXPECT_OK(rows.statistics.AddShown(x, {}, 0));
    EXPECT_OK(rows.statistics.ApplyReward(x, {}, 0, rows.reward[i]));
  }
  return rows;
}

// The slow twin: log density of the rewards themselves, a normal with covariance sigma^2 (I + x x' / lambda), maximised over
// sigma; s0 is one more reward of that size whose row is zero.
double DensityOfRewards(const Rows& rows, double prior_deviation, double lambda) {
  const Eigen::Index n = rows.x.rows();
  Eigen::MatrixXd covariance = rows.x * rows.x.transpose() / lambda + Eigen::MatrixXd::Identity(n, n);
  const double squares = rows.reward.dot(covariance.ldlt().solve(rows.reward)) + prior_deviation * prior_deviation;
  return -0.5 * static_cast<double>(n + 1) * std::log(squares) - 0.5 * std::log(covariance.determinant());
}

TEST(MarginalLikelihoodTest, IsTheDensityOfTheRewardsButForAConstant) {
  const Rows rows = MakeRows(40, 5, 0.7, 0.4, 3);
  const RidgeSearch search{1, 0.5, 10};
  for (const double lambda : {0.01, 0.3, 1.0, 10.0, 4000.0}) {
    const double expected = DensityOfRewards(rows, 0.5, lambda) - DensityOfRewards(rows, 0.5, 1);
    EXPECT_NEAR(*LogMarginalLikelihood(rows.statistics, search, lambda) - *LogMarginalLikelihood(rows.statistics, search, 1),
                expected, 1e-8 * std::abs(expected) + 1e-8)
        << lambda;
  }
}

// theta is normal with variance sigma^2 / lambda, so lambda = noise^2 / coefficient^2.
TEST(MarginalLikelihoodTest, FindsTheRidgeThatMadeTheCoefficients) {
  for (const double coefficient : {2.0, 0.2, 0.02}) {
    const Rows rows = MakeRows(4000, 40, coefficient, 1, 5);
    for (const double start : {0.01, 10.0, 10'000.0}) {
      const double best = *BestRidge(rows.statistics, {1, 0.5, start});
      EXPECT_NEAR(std::log10(best), -2 * std::log10(coefficient), 0.5) << coefficient << " from " << start;
    }
  }
}

TEST(MarginalLikelihoodTest, StaysWithinItsBounds) {
  EXPECT_EQ(*BestRidge(MakeRows(300, 3, 0, 0, 7).statistics, {1, 0.5, 10}), kLargestRidge);
  EXPECT_EQ(*BestRidge(MakeRows(300, 3, 100, 1e-3, 7).statistics, {1, 1e-3, kSmallestRidge / 10}), kSmallestRidge);
  const double found = *BestRidge(LinearStatistics(3), {1, 0.5, 10});  // nothing seen: nothing is better than the start
  EXPECT_EQ(found, 10);
}

TEST(MarginalLikelihoodTest, ForgettingIsAScaleOfAllSums) {
  const Rows rows = MakeRows(50, 4, 1, 0.5, 9);
  LinearStatistics halved = rows.statistics;
  halved.ScaleByPowerOfTwo(-1);
  EXPECT_EQ(*LogMarginalLikelihood(rows.statistics, {0.5, 0.3, 10}, 2), *LogMarginalLikelihood(halved, {1, 0.3, 10}, 2));
}

}  // namespace
}  // namespace offerd
