// Above LinearStatistics::kMaxFullDim columns: the sums of the diagonal form, and the policy and the ridge made from them.
#include <cmath>

#include "core/learn/linear_statistics.h"
#include "core/policy/linear_policy.h"
#include "core/policy/marginal_likelihood.h"
#include "core/rng.h"
#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

constexpr int kDim = 600;

PublicationParameters Parameters(double lambda = 1) {
  PublicationParameters p;
  p.policy = "wide";
  p.version = 1;
  p.lambda = lambda;
  p.bag_size = 4;
  p.bag_seed = BagSeed("wide", 1);
  return p;
}

struct Row {
  Eigen::VectorXf x;
  SlotWeight weight;
  double reward = 0;
};

// The first column is 1, the rest normal around 0.5.
std::vector<Row> RandomRows(int n, int d, uint64_t seed) {
  Rng rng(seed);
  std::vector<Row> rows(static_cast<size_t>(n));
  for (Row& row : rows) {
    row.x.resize(d);
    for (float& value : row.x) value = static_cast<float>(0.5 + rng.NextNormal());
    row.x[0] = 1;
    row.weight = {0.25 + rng.NextUniform(), 0.1 + 0.9 * rng.NextUniform()};
    row.reward = row.x[1] + 0.2 * rng.NextNormal();
  }
  return rows;
}

LinearStatistics Learn(const std::vector<Row>& rows) {
  LinearStatistics statistics(static_cast<int>(rows[0].x.size()));
  for (const Row& row : rows) {
    EXPECT_OK(statistics.AddShown(row.x, row.weight, 0.25));
    EXPECT_OK(statistics.ApplyReward(row.x, row.weight, 0.25, row.reward));
  }
  return statistics;
}

TEST(DiagonalFormTest, BeginsAboveTheLargestFullOne) {
  EXPECT_FALSE(LinearStatistics(LinearStatistics::kMaxFullDim).is_diagonal());
  EXPECT_TRUE(LinearStatistics(LinearStatistics::kMaxFullDim + 1).is_diagonal());
  EXPECT_EQ(LinearStatistics(kDim).gram().size(), 2 * (kDim + 1));
}

TEST(DiagonalFormTest, SumsAreThoseOfTheDesign) {
  const std::vector<Row> rows = RandomRows(50, kDim, 1);
  const LinearStatistics statistics = Learn(rows);
  for (int k : {0, 1, 17, kDim - 1}) {
    long double squares = 0, first = 0, reward_x = 0;
    for (const Row& row : rows) {
      const long double x = row.x[k], f = row.weight.forgetting, e = row.weight.examination;
      squares += f * e * x * x;
      first += f * e * x;
      reward_x += f * row.reward * x;
    }
    EXPECT_NEAR(statistics.gram()(k, 0), static_cast<double>(squares), 1e-9);
    EXPECT_NEAR(statistics.gram()(k, 1), static_cast<double>(first), 1e-9);
    EXPECT_NEAR(statistics.reward_x()[k], static_cast<double>(reward_x), 1e-9);
  }
  long double weight = 0, reward = 0;
  for (const Row& row : rows) {
    weight += row.weight.forgetting * row.weight.examination;
    reward += row.weight.forgetting * row.reward;
  }
  EXPECT_NEAR(statistics.gram()(kDim, 0), static_cast<double>(weight), 1e-9);
  EXPECT_NEAR(statistics.gram()(kDim, 1), static_cast<double>(reward), 1e-9);
}

TEST(DiagonalFormTest, PartsMergeAndScaleLikeTheFullForm) {
  const std::vector<Row> rows = RandomRows(40, kDim, 2);
  const LinearStatistics all = Learn(rows);
  const auto again = LinearStatistics::FromParts(all.gram(), all.reward_x(), all.reward_squared(), all.total_weight(), all.num_shown());
  ASSERT_OK(again);
  EXPECT_EQ(again->Checksum(), all.Checksum());
  LinearStatistics half = Learn({rows.begin(), rows.begin() + 20});
  EXPECT_NE(half.Checksum(), all.Checksum());
  ASSERT_OK(half.Merge(Learn({rows.begin() + 20, rows.end()})));
  EXPECT_LE((half.gram() - all.gram()).norm(), 1e-12 * all.gram().norm());
  LinearStatistics scaled = all;
  scaled.ScaleByPowerOfTwo(-3);
  EXPECT_EQ(scaled.gram(), all.gram() / 8);
  Eigen::MatrixXd negative = all.gram();
  negative(5, 0) = -1;
  EXPECT_FALSE(LinearStatistics::FromParts(negative, all.reward_x(), 1, 1, 1).ok());
  EXPECT_THAT(LinearStatistics::FromParts(all.gram().topRows(kDim), all.reward_x(), 1, 1, 1),
              StatusIs(absl::StatusCode::kInvalidArgument, "601 x 2"));
}

// Columns that are orthogonal: the diagonal is all there is, so the estimate is the ridge regression's.
TEST(DiagonalFormTest, IsRidgeRegressionWhereColumnsAreOrthogonal) {
  constexpr int kSize = 1024;  // rows and columns of a Hadamard matrix; the first column is 1
  Rng rng(3);
  LinearStatistics statistics(kSize);
  Eigen::MatrixXf x(kSize, kSize);
  for (int i = 0; i < kSize; ++i) {
    for (int k = 0; k < kSize; ++k) x(i, k) = __builtin_parity(static_cast<unsigned>(i & k)) != 0 ? -1 : 1;
  }
  Eigen::VectorXd reward(kSize);
  for (double& r : reward) r = 0.3 + rng.NextNormal();
  for (int i = 0; i < kSize; ++i) ASSERT_OK(statistics.AddShown(x.row(i).transpose(), {}, reward[i]));
  const auto policy = LinearPolicy::Publish(statistics, Parameters(50));
  ASSERT_OK(policy);
  const Eigen::VectorXd sums = x.cast<double>().transpose() * reward;
  EXPECT_NEAR(policy->theta()[0], sums[0] / kSize, 1e-12);  // the intercept pays no ridge
  for (int k = 1; k < kSize; ++k) EXPECT_NEAR(policy->theta()[k], sums[k] / (kSize + 50), 1e-12) << k;
  const double mean = reward.mean();
  EXPECT_NEAR(policy->sigma(), std::sqrt((reward.array() - mean).square().sum() / (kSize + 1)), 1e-9);
}

TEST(DiagonalFormTest, RanksManyOffersByWhatTheyEarned) {
  constexpr int kOffers = 700;
  Rng rng(4);
  LinearStatistics statistics(kOffers + 1);
  FloatRowMatrix x = FloatRowMatrix::Zero(kOffers, kOffers + 1);
  for (int offer = 0; offer < kOffers; ++offer) x(offer, 0) = x(offer, offer + 1) = 1;
  for (int shown = 0; shown < 40; ++shown) {
    for (int offer = 0; offer < kOffers; ++offer) {
      ASSERT_OK(statistics.AddShown(x.row(offer).transpose(), {}, shown < offer % 20 ? 1 : 0));  // offer % 20 times of 40
    }
  }
  const auto policy = LinearPolicy::Publish(statistics, Parameters());
  ASSERT_OK(policy);
  FloatRowMatrix scores;
  policy->Score(x, scores);
  for (int offer = 0; offer < kOffers; ++offer) EXPECT_NEAR(scores(offer, 0), (offer % 20) / 40.0, 0.02) << offer;
}

TEST(DiagonalFormTest, WithoutAConstantColumnNothingIsCentred) {
  std::vector<Row> rows = RandomRows(30, kDim, 5);
  for (size_t i = 0; i < rows.size(); ++i) rows[i].x[0] = static_cast<float>(i);
  const LinearStatistics statistics = Learn(rows);
  const auto policy = LinearPolicy::Publish(statistics, Parameters(2));
  ASSERT_OK(policy);
  for (int k : {0, 1, 599}) EXPECT_NEAR(policy->theta()[k], statistics.reward_x()[k] / (2 + statistics.gram()(k, 0)), 1e-12);
}

TEST(DiagonalFormTest, DeviationsAndBagAreOfEachColumnAlone) {
  const std::vector<Row> rows = RandomRows(200, kDim, 6);
  const LinearStatistics statistics = Learn(rows);
  PublicationParameters parameters = Parameters(3);
  parameters.bag_size = LinearPolicy::kMaxBagSize;
  parameters.scale = 0.5;
  const auto policy = LinearPolicy::Publish(statistics, parameters);
  ASSERT_OK(policy);
  const LinearStatistics::Centred centred = statistics.Centre();
  EXPECT_EQ(centred.constant, 0);
  FloatRowMatrix x(2, kDim);
  for (int i = 0; i < 2; ++i) x.row(i) = rows[static_cast<size_t>(i)].x.transpose();
  RowMatrix scratch;
  std::vector<double> deviations;
  policy->Deviations(x, scratch, deviations);
  for (int i = 0; i < 2; ++i) {
    double sum = 1 / (3 + statistics.gram()(0, 0));  // of the constant column
    for (int k = 1; k < kDim; ++k) sum += std::pow(x(i, k), 2) / (3 + centred.squares[k]);
    EXPECT_NEAR(deviations[static_cast<size_t>(i)], policy->sigma() * std::sqrt(sum), 1e-9);
    EXPECT_NEAR(policy->Deviation(x.row(i).transpose()), deviations[static_cast<size_t>(i)], 1e-12);
  }
  for (int k : {1, 300}) {
    const Eigen::VectorXd drawn = policy->coefficients().row(k).rightCols(parameters.bag_size).cast<double>().transpose().array() - policy->theta()[k];
    const double expected = 0.5 * policy->sigma() / std::sqrt(3 + centred.squares[k]);
    EXPECT_NEAR(std::sqrt(drawn.squaredNorm() / parameters.bag_size) / expected, 1, 0.06);  // five standard errors
  }
}

TEST(DiagonalFormTest, StoredPoliciesComeBackToTheBit) {
  const auto policy = LinearPolicy::Publish(Learn(RandomRows(50, kDim, 7)), Parameters());
  ASSERT_OK(policy);
  const auto again = LinearPolicy::FromParts(policy->ToParts());
  ASSERT_OK(again);
  EXPECT_EQ(again->coefficients(), policy->coefficients());
  EXPECT_EQ(again->ToParts().lower, policy->ToParts().lower);
  LinearPolicy::Parts wrong = policy->ToParts();
  wrong.lower = Eigen::MatrixXd::Identity(kDim, kDim);
  EXPECT_THAT(LinearPolicy::FromParts(wrong), StatusIs(absl::StatusCode::kInvalidArgument, "d x 1"));
}

// Independent columns with coefficients of variance t^2: to one column the others are noise, so lambda = variance of the rewards / t^2.
TEST(DiagonalFormTest, TheRidgeIsTheOneThatMadeTheCoefficients) {
  for (const double t : {0.3, 0.01}) {
    Rng rng(8);
    Eigen::VectorXd theta(kDim);
    for (double& value : theta) value = t * rng.NextNormal();
    LinearStatistics statistics(kDim);
    for (int i = 0; i < 3000; ++i) {
      Eigen::VectorXf x(kDim);
      for (float& value : x) value = static_cast<float>(rng.NextNormal());
      x[0] = 1;
      ASSERT_OK(statistics.AddShown(x, {}, theta.dot(x.cast<double>()) + rng.NextNormal()));
    }
    const double expected = (kDim * t * t + 1) / (t * t);
    for (const double start : {10.0, 10'000.0}) {
      EXPECT_NEAR(std::log10(*BestRidge(statistics, {1, 0.5, start})), std::log10(std::min(expected, kLargestRidge)), 0.5) << t << " " << start;
    }
  }
}

}  // namespace
}  // namespace offerd
