#include "core/policy/linear_policy.h"

#include <Eigen/Cholesky>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/policy/cholesky.h"
#include "core/rng.h"
#include "core/slate/slate.h"
#include "tests/support/reference/bandit_golden.h"
#include "tests/support/reference/linear_reference.h"
#include "tests/support/shared_data.h"
#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

PublicationParameters Parameters(uint64_t version = 1) {
  PublicationParameters p;
  p.policy = "home";
  p.version = version;
  p.lambda = 2;
  p.prior_deviation = 0.5;
  p.bag_seed = BagSeed(p.policy, version);
  return p;
}

LinearReference RandomLog(int d, int slots, uint64_t seed, double noise = 0.3) {
  Rng rng(seed);
  LinearReference log;
  Eigen::VectorXd truth(d);
  for (int k = 0; k < d; ++k) truth[k] = rng.NextNormal();
  for (int i = 0; i < slots; ++i) {
    Eigen::VectorXf x(d);
    for (int k = 0; k < d; ++k) x[k] = rng.NextUniform() < 0.3 ? 0.0f : static_cast<float>(rng.NextNormal());
    const double e = 0.2 + 0.8 * rng.NextUniform();
    const double reward = e * truth.dot(x.cast<double>()) + noise * std::sqrt(e) * rng.NextNormal();
    log.slots.push_back({x, {0.1 + rng.NextUniform(), e}, reward});
  }
  return log;
}

LinearStatistics Learn(const LinearReference& log, int d) {
  LinearStatistics statistics(d);
  for (const auto& slot : log.slots) EXPECT_OK(statistics.AddShown(slot.x, slot.weight, slot.reward));
  return statistics;
}

bool SameBits(const LinearPolicy& a, const LinearPolicy& b) {
  return a.theta() == b.theta() && a.sigma() == b.sigma() && a.coefficients() == b.coefficients();
}

TEST(CholeskyTest, AgreesWithEigen) {
  for (int d : {1, 2, 3, 5, 17, 64, 130}) {
    Rng rng(d);
    Eigen::MatrixXd root(d, d);
    for (double& value : root.reshaped()) value = rng.NextNormal();
    const Eigen::MatrixXd matrix = root * root.transpose() + Eigen::MatrixXd::Identity(d, d);
    Eigen::MatrixXd lower = matrix.triangularView<Eigen::Lower>();
    ASSERT_TRUE(FactorizeCholesky(lower));
    EXPECT_LE((lower * lower.transpose() - matrix).norm(), 1e-13 * matrix.norm());
    EXPECT_LE((lower - Eigen::MatrixXd(matrix.llt().matrixL())).norm(), 1e-11 * lower.norm());
    Eigen::VectorXd y = root.col(0);
    SolveLower(lower, y);
    EXPECT_LE((lower * y - root.col(0)).norm(), 1e-11 * root.norm());
    RowMatrix z = root;
    SolveLowerTransposed(lower, z);
    EXPECT_LE((lower.transpose() * z - root).norm(), 1e-11 * root.norm());
  }
}

TEST(CholeskyTest, RefusesWhatIsNotPositiveDefinite) {
  Eigen::MatrixXd indefinite(2, 2);
  indefinite << 1, 0, 2, 1;
  EXPECT_FALSE(FactorizeCholesky(indefinite));
  Eigen::MatrixXd nan = Eigen::MatrixXd::Identity(2, 2);
  nan(1, 0) = std::nan("");
  EXPECT_FALSE(FactorizeCholesky(nan));
  Eigen::MatrixXd zero = Eigen::MatrixXd::Zero(1, 1);
  EXPECT_FALSE(FactorizeCholesky(zero));
}

TEST(LinearPolicyTest, AgreesWithAFullRefit) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    const int d = 1 + static_cast<int>(seed * 5 % 31);
    const LinearReference log = RandomLog(d, 20 + 10 * static_cast<int>(seed), seed);
    PublicationParameters p = Parameters();
    p.forgetting_to_T = 0.3;
    const auto policy = LinearPolicy::Publish(Learn(log, d), p);
    ASSERT_OK(policy);
    const Eigen::VectorXd theta = log.Theta(d, p.lambda, p.forgetting_to_T).cast<double>();
    EXPECT_LE((policy->theta() - theta).norm(), 1e-10 * (1 + theta.norm()));
    EXPECT_NEAR(policy->sigma(), log.Sigma(d, p.lambda, p.forgetting_to_T, p.prior_deviation), 1e-9);
    const Eigen::VectorXf& x = log.slots[0].x;
    const LinearReference::Vector xl = x.cast<long double>();
    const LinearReference::Vector solved = log.V(d, p.lambda, p.forgetting_to_T).fullPivLu().solve(xl);
    EXPECT_NEAR(policy->Deviation(x), policy->sigma() * std::sqrt(static_cast<double>(xl.dot(solved))), 1e-10);
    EXPECT_EQ(policy->coefficients().col(0), policy->theta().cast<float>());
    EXPECT_EQ(policy->dim(), d);
    EXPECT_EQ(policy->bag_size(), 32);
    EXPECT_EQ(policy->lambda(), 2);
    EXPECT_EQ(policy->version(), 1u);
  }
}

TEST(LinearPolicyTest, ScalingSumsAndUndoingItAtPublicationChangesNothing) {
  LinearStatistics statistics = Learn(RandomLog(9, 60, 3), 9);
  const auto before = LinearPolicy::Publish(statistics, Parameters());
  statistics.ScaleByPowerOfTwo(-7);
  PublicationParameters p = Parameters();
  p.forgetting_to_T = 128;
  const auto after = LinearPolicy::Publish(statistics, p);
  ASSERT_OK(before);
  ASSERT_OK(after);
  EXPECT_TRUE(SameBits(*before, *after));
}

TEST(LinearPolicyTest, BagHasTheCovarianceItClaims) {
  const int d = 4;
  const LinearStatistics statistics = Learn(RandomLog(d, 40, 5), d);
  PublicationParameters p = Parameters();
  p.bag_size = LinearPolicy::kMaxBagSize;
  p.scale = 0.7;
  Eigen::MatrixXd second = Eigen::MatrixXd::Zero(d, d);
  Eigen::VectorXd first = Eigen::VectorXd::Zero(d);
  Eigen::MatrixXd expected;
  const int publications = 20;
  const double draws = static_cast<double>(publications) * p.bag_size;
  for (int i = 0; i < publications; ++i) {
    p.bag_seed = BagSeed("home", i);
    const auto policy = LinearPolicy::Publish(statistics, p);
    ASSERT_OK(policy);
    const Eigen::MatrixXd delta =
        policy->coefficients().rightCols(p.bag_size).cast<double>().colwise() - policy->theta();
    second += delta * delta.transpose() / draws;
    first += delta.rowwise().sum() / draws;
    Eigen::MatrixXd v = statistics.gram().selfadjointView<Eigen::Lower>();
    v.diagonal().array() += p.lambda;
    expected = std::pow(p.scale * policy->sigma(), 2) * v.inverse();
  }
  for (int i = 0; i < d; ++i) {
    EXPECT_LE(std::abs(first[i]), 6 * std::sqrt(expected(i, i) / draws));
    for (int j = 0; j < d; ++j) {
      const double deviation = std::sqrt((expected(i, i) * expected(j, j) + expected(i, j) * expected(i, j)) / draws);
      EXPECT_NEAR(second(i, j), expected(i, j), 6 * deviation) << i << "," << j;
    }
  }
}

TEST(LinearPolicyTest, BagDependsOnPolicyVersionAndMemberOnly) {
  const LinearStatistics statistics = Learn(RandomLog(6, 30, 6), 6);
  PublicationParameters p = Parameters(1);
  const auto policy = LinearPolicy::Publish(statistics, p);
  ASSERT_OK(policy);
  FloatRowMatrix x = FloatRowMatrix::Random(5, 6), scores;
  policy->Score(x, scores);
  const Eigen::VectorXd mean = scores.col(0).cast<double>();
  const std::vector<int32_t> tie_rank = {0, 1, 2, 3, 4};
  SlateInput input;
  input.num_candidates = 5;
  input.mean = absl::MakeConstSpan(mean.data(), 5);
  input.bag_scores = &scores;
  input.tie_rank = tie_rank;
  input.slots = 3;
  Rng rng(p.bag_seed);
  SlateScratch scratch;
  std::vector<SlateSlot> slate;
  DrawSlate(input, rng, scratch, slate);
  const auto again = LinearPolicy::Publish(statistics, p);
  EXPECT_TRUE(SameBits(*policy, *again));  // drawing slates does not move the bag
  p.bag_size = 7;
  const auto smaller = LinearPolicy::Publish(statistics, p);
  EXPECT_EQ(smaller->coefficients(), policy->coefficients().leftCols(8));
  const auto next = LinearPolicy::Publish(statistics, Parameters(2));
  EXPECT_EQ(next->theta(), policy->theta());
  EXPECT_NE(next->coefficients(), policy->coefficients());
  EXPECT_NE(BagSeed("home", 1), BagSeed("cart", 1));
  EXPECT_NE(BagSeed("home", 1), BagSeed("home", 2));
}

TEST(LinearPolicyTest, APolicyThatHasSeenNothingExplores) {
  const auto policy = LinearPolicy::Publish(LinearStatistics(3), Parameters());
  ASSERT_OK(policy);
  EXPECT_TRUE(policy->theta().isZero(0));
  EXPECT_DOUBLE_EQ(policy->sigma(), 0.5);  // s0
  EXPECT_NEAR(policy->Deviation(Eigen::Vector3f(1, 0, 0)), 0.5 / std::sqrt(2.0), 1e-12);
  FloatRowMatrix scores;
  policy->Score(FloatRowMatrix::Identity(3, 3), scores);
  const std::vector<double> mean(3, 0.0);
  const std::vector<int32_t> tie_rank = {0, 1, 2};
  SlateInput input;
  input.num_candidates = 3;
  input.mean = mean;
  input.bag_scores = &scores;
  input.tie_rank = tie_rank;
  input.slots = 1;
  SlateScratch scratch;
  std::vector<double> probability(3), explorer(3);
  SlotDistribution(input, 0, {}, scratch, absl::MakeSpan(probability), absl::MakeSpan(explorer));
  for (double p : probability) EXPECT_GT(p, 0.05);
}

TEST(LinearPolicyTest, PerfectFitWithoutPriorDeviationStopsExploring) {
  LinearStatistics statistics(2);
  for (int i = 0; i < 50; ++i) ASSERT_OK(statistics.AddShown(Eigen::Vector2f(1, static_cast<float>(i)), {}, 0));
  PublicationParameters p = Parameters();
  p.prior_deviation = 0;
  const auto policy = LinearPolicy::Publish(statistics, p);
  ASSERT_OK(policy);
  EXPECT_EQ(policy->sigma(), 0);
  for (int m = 1; m <= 32; ++m) EXPECT_EQ(policy->coefficients().col(m), policy->coefficients().col(0));
}

TEST(LinearPolicyTest, ScoresAreTheProduct) {
  for (int bag_size : {0, 1, 6, 7, 8, 31, 32, 33, 40, 79, 80, 100}) {
    SCOPED_TRACE(bag_size);
    const int d = 19;
    PublicationParameters p = Parameters();
    p.bag_size = bag_size;
    const auto policy = LinearPolicy::Publish(Learn(RandomLog(d, 50, 8), d), p);
    ASSERT_OK(policy);
    FloatRowMatrix x = FloatRowMatrix::Random(13, d);
    x.row(4).setZero();
    for (int k = 0; k < d; k += 2) x.col(k) = (x.col(k).array() > 0.5f).cast<float>();
    FloatRowMatrix scores = FloatRowMatrix::Constant(2, 2, 7);
    policy->Score(x, scores);
    ASSERT_EQ(scores.rows(), 13);
    ASSERT_EQ(scores.cols(), 1 + bag_size);
    const Eigen::MatrixXd expected = x.cast<double>() * policy->coefficients().cast<double>();
    EXPECT_LE((scores.cast<double>() - expected).cwiseAbs().maxCoeff(), 1e-5 * (1 + expected.cwiseAbs().maxCoeff()));
    FloatRowMatrix one;
    for (int i = 0; i < 13; ++i) {  // to the bit, whatever else is in the matrix
      policy->Score(x.row(i), one);
      EXPECT_EQ(one.row(0), scores.row(i));
    }
    policy->Score(x.topRows(0), scores);
    EXPECT_EQ(scores.rows(), 0);
  }
}

TEST(LinearPolicyTest, ScoresAPartOfAWiderMatrix) {
  const auto policy = LinearPolicy::Publish(Learn(RandomLog(5, 50, 8), 5), Parameters());
  FloatRowMatrix wide = FloatRowMatrix::Random(4, 9), part, copy;
  policy->Score(wide.middleCols(2, 5), part);
  policy->Score(FloatRowMatrix(wide.middleCols(2, 5)), copy);
  EXPECT_EQ(part, copy);
}

// The value must not depend on compiler, optimisation or instruction set: replays and goldens are shared by all builds.
TEST(LinearPolicyTest, BitsAreTheSameInEveryBuild) {
  LinearStatistics statistics(20);
  Rng rng(6);
  FloatRowMatrix x(200, 20);
  for (int i = 0; i < 200; ++i) {
    for (int k = 0; k < 20; ++k) x(i, k) = static_cast<float>(rng.NextUniform());
    const double forgetting = 0.1 + rng.NextUniform();  // named: the order of arguments is the compiler's
    const double reward = rng.NextUniform();
    ASSERT_OK(statistics.AddShown(x.row(i), {forgetting, 0.7}, reward));
  }
  PublicationParameters p = Parameters();
  p.bag_size = 0;
  const auto policy = LinearPolicy::Publish(statistics, p);
  ASSERT_OK(policy);
  FloatRowMatrix scores;
  policy->Score(x, scores);
  const double deviation = policy->Deviation(x.row(0));
  const auto hash = [](const void* data, size_t size, uint64_t seed) {
    return StableHash(absl::string_view(static_cast<const char*>(data), size), seed);
  };
  uint64_t found = hash(policy->theta().data(), 20 * sizeof(double), 0);
  found = hash(scores.data(), 200 * sizeof(float), found);
  EXPECT_EQ(hash(&deviation, sizeof(deviation), found), 8871830304084827057u);
}

TEST(LinearPolicyTest, DeviationsOfManyRowsAreThoseOfEach) {
  for (const int d : {1, 3, 8, 45}) {
    auto policy = LinearPolicy::Publish(Learn(RandomLog(d, 60, 31), d), Parameters());
    ASSERT_OK(policy);
    Rng rng(d);
    FloatRowMatrix x(7, d);
    for (float& value : x.reshaped()) value = static_cast<float>(rng.NextNormal());
    RowMatrix scratch;
    std::vector<double> found;
    policy->Deviations(x, scratch, found);
    ASSERT_EQ(found.size(), 7u);
    for (int i = 0; i < 7; ++i) EXPECT_NEAR(found[i], policy->Deviation(x.row(i).transpose()), 1e-12 * found[i]);
    std::vector<double> alone;  // a row's deviation does not depend on the others, to the bit
    policy->Deviations(x.row(3), scratch, alone);
    EXPECT_EQ(alone[0], found[3]);
  }
}

TEST(LinearPolicyTest, RefusesParametersOutOfRange) {
  const LinearStatistics statistics(2);
  const auto publish = [&](auto change) {
    PublicationParameters p = Parameters();
    change(p);
    return LinearPolicy::Publish(statistics, p).status();
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  const double inf = std::numeric_limits<double>::infinity();
  for (double bad : {0.0, -1.0, inf, std::nan("")}) {
    EXPECT_THAT(publish([&](auto& p) { p.lambda = bad; }), StatusIs(kInvalid, "policy 'home': lambda: expected"));
    EXPECT_THAT(publish([&](auto& p) { p.forgetting_to_T = bad; }), StatusIs(kInvalid, "forgetting_to_T"));
  }
  for (double bad : {-1.0, inf, std::nan("")}) {
    EXPECT_THAT(publish([&](auto& p) { p.scale = bad; }), StatusIs(kInvalid, "scale"));
    EXPECT_THAT(publish([&](auto& p) { p.prior_deviation = bad; }), StatusIs(kInvalid, "prior_deviation"));
  }
  EXPECT_THAT(publish([](auto& p) { p.bag_size = -1; }), StatusIs(kInvalid, "bag_size"));
  EXPECT_THAT(publish([](auto& p) { p.bag_size = 4097; }), StatusIs(kInvalid, "bag_size"));
}

TEST(LinearPolicyTest, NeverPublishesHalfAModel) {
  Eigen::Matrix2d indefinite;
  indefinite << 1, 0, 100, 1;
  const auto damaged = LinearStatistics::FromParts(indefinite, Eigen::Vector2d::Ones(), 1, 1, 1);
  ASSERT_OK(damaged);
  EXPECT_THAT(LinearPolicy::Publish(*damaged, Parameters()),
              StatusIs(absl::StatusCode::kFailedPrecondition, "version 1: the gram matrix is not positive definite"));
  LinearStatistics large(1);
  ASSERT_OK(large.AddShown(Eigen::VectorXf::Ones(1), {}, 1e100));
  EXPECT_THAT(LinearPolicy::Publish(large, Parameters()),
              StatusIs(absl::StatusCode::kFailedPrecondition, "not finite"));
  LinearStatistics overflow(1);
  ASSERT_OK(overflow.AddShown(Eigen::VectorXf::Ones(1), {1e299, 1}, 0));
  PublicationParameters p = Parameters();
  p.forgetting_to_T = 1e20;
  EXPECT_FALSE(LinearPolicy::Publish(overflow, p).ok());
}

// ---- goldens: NumPy, scikit-learn and SciPy, see shared/data/goldens/bandit.py ----

Eigen::VectorXd Vector(const nlohmann::json& numbers) {
  Eigen::VectorXd out(numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) out[i] = numbers[i].get<double>();
  return out;
}

FloatRowMatrix Millionths(const nlohmann::json& rows) {
  FloatRowMatrix out(rows.size(), rows.at(0).size());
  for (size_t i = 0; i < rows.size(); ++i) out.row(i) = (1e6 * Vector(rows[i])).array().round().cast<float>();
  return out;
}

class LinearPolicyGoldenTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name :
         {"goldens/bandit/linear.json", "goldens/bandit/thompson.json", "goldens/bandit/sequence.csv.zst"}) {
      SKIP_WITHOUT_SHARED_DATA(name);
    }
    golden_ = nlohmann::json::parse(ReadWholeFile(*SharedData("goldens/bandit/linear.json")));
    thompson_ = nlohmann::json::parse(ReadWholeFile(*SharedData("goldens/bandit/thompson.json")));
    steps_ = ReadGoldenSteps(*SharedData("goldens/bandit/sequence.csv.zst"));
    ASSERT_EQ(steps_.size(), 300u);
    parameters_ = Parameters();
    parameters_.lambda = 1e12;  // 1 in the golden's units
  }

  LinearPolicy Publish(const LinearStatistics& statistics) {
    auto policy = LinearPolicy::Publish(statistics, parameters_);
    EXPECT_OK(policy);
    return *std::move(policy);
  }

  void ExpectTheta(const LinearPolicy& policy, const nlohmann::json& golden) {
    const Eigen::VectorXd theta = Vector(golden);
    for (int k = 0; k < theta.size(); ++k) EXPECT_NEAR(policy.theta()[k] * 1e6, theta[k], 1e-9 * std::abs(theta[k]));
  }

  LinearStatistics Sums(int steps, bool weighted) {
    LinearStatistics statistics(8);
    for (int t = 0; t < steps; ++t) {
      EXPECT_OK(statistics.AddShown(steps_[t].x_millionths, {weighted ? steps_[t].weight : 1.0, 1}, steps_[t].reward));
    }
    return statistics;
  }

  // How often each candidate is best over many publications, compared at four standard errors of as many draws.
  void ExpectProbabilityBest(const LinearStatistics& statistics, const FloatRowMatrix& x,
                             const nlohmann::json& golden) {
    const int publications = 250;
    parameters_.bag_size = LinearPolicy::kMaxBagSize;
    const double draws = static_cast<double>(publications) * parameters_.bag_size;
    const int n = static_cast<int>(x.rows());
    std::vector<double> best(n, 0.0);
    const std::vector<double> mean(n, 0.0);
    std::vector<int32_t> tie_rank(n);
    for (int i = 0; i < n; ++i) tie_rank[i] = i;
    FloatRowMatrix scores;
    SlateScratch scratch;
    std::vector<double> probability(n), explorer(n);
    for (int i = 0; i < publications; ++i) {
      parameters_.bag_seed = BagSeed("thompson", i);
      Publish(statistics).Score(x, scores);
      SlateInput input;
      input.num_candidates = n;
      input.mean = mean;
      input.bag_scores = &scores;
      input.tie_rank = tie_rank;
      input.slots = 1;
      SlotDistribution(input, 0, {}, scratch, absl::MakeSpan(probability), absl::MakeSpan(explorer));
      for (int c = 0; c < n; ++c) best[c] += probability[c] / publications;
    }
    for (int c = 0; c < n; ++c) {
      const double p = golden["by_normal_cdf"][c];
      EXPECT_NEAR(best[c], p, 4 * std::sqrt(p * (1 - p) / draws) + 1e-6) << c;
      EXPECT_NEAR(best[c], golden["probability_best"][c].get<double>(), 6 * std::sqrt(p * (1 - p) / draws) + 1e-6) << c;
    }
  }

  nlohmann::json golden_, thompson_;
  std::vector<GoldenStep> steps_;
  PublicationParameters parameters_;
};

TEST_F(LinearPolicyGoldenTest, ThetaMeanAndWidthAtEveryCheckpoint) {
  const FloatRowMatrix contexts = Millionths(golden_["test_contexts"]);
  for (const auto& checkpoint : golden_["checkpoints"]) {
    const LinearPolicy policy = Publish(Sums(checkpoint["after_steps"], checkpoint["weighted"]));
    ExpectTheta(policy, checkpoint["theta"]);
    FloatRowMatrix scores;
    policy.Score(contexts, scores);
    for (int i = 0; i < contexts.rows(); ++i) {
      const double mean = checkpoint["mean"][i], width = checkpoint["width"][i];
      EXPECT_NEAR(contexts.row(i).cast<double>().dot(policy.theta()), mean, 1e-9 * std::max(1.0, std::abs(mean)));
      EXPECT_NEAR(policy.Deviation(contexts.row(i)) / policy.sigma(), width, 1e-9 * width);
      EXPECT_NEAR(scores(i, 0), mean, 1e-5);  // float
    }
  }
}

TEST_F(LinearPolicyGoldenTest, ForgettingBringsTheNewestToOneAndKeepsLambda) {
  LinearStatistics statistics(8);
  for (int t = 0; t < 300; ++t) {
    ASSERT_OK(statistics.AddShown(steps_[t].x_millionths, {std::exp2(t / 40.0), 1}, steps_[t].reward));
  }
  parameters_.forgetting_to_T = std::exp2(-299 / 40.0);
  ExpectTheta(Publish(statistics), golden_["forgetting_half_life_40_steps"]["theta"]);
}

TEST_F(LinearPolicyGoldenTest, DefaultAndLateRewards) {
  const double default_reward = golden_["default_reward"]["default"];
  LinearStatistics statistics(8);
  for (int t = 0; t < 300; ++t) ASSERT_OK(statistics.AddShown(steps_[t].x_millionths, {}, default_reward));
  for (int t = 0; t < 300; ++t) {
    if (t % 3 != 0) {
      ASSERT_OK(statistics.ApplyReward(steps_[t].x_millionths, {}, default_reward, steps_[t].reward));
    }
  }
  ExpectTheta(Publish(statistics), golden_["default_reward"]["theta"]);
}

TEST_F(LinearPolicyGoldenTest, BagRanksIndependentCandidatesFirstAsOftenAsThompson) {
  const auto& golden = thompson_["cases"][0];
  const Eigen::VectorXd mean = Vector(golden["mean"]);
  Eigen::MatrixXd gram = Eigen::MatrixXd::Zero(5, 5);
  for (int i = 0; i < 5; ++i) gram(i, i) = 1 / golden["covariance"][i][i].get<double>();
  const Eigen::VectorXd b = gram * mean;
  parameters_.lambda = 1;
  gram.diagonal().array() -= parameters_.lambda;
  parameters_.scale = 1;
  parameters_.prior_deviation = 1;
  // Rewards that fit exactly, so that sigma is s0 / sqrt(n + 1) = 1 with no weight.
  const auto statistics = LinearStatistics::FromParts(gram, b, 2 * mean.dot(b) - mean.dot(gram * mean), 0, 0);
  ASSERT_OK(statistics);
  ASSERT_NEAR(Publish(*statistics).sigma(), 1, 1e-9);
  ExpectProbabilityBest(*statistics, FloatRowMatrix::Identity(5, 5), golden);
}

TEST_F(LinearPolicyGoldenTest, BagRanksCorrelatedCandidatesFirstAsOftenAsThompson) {
  const auto& golden = thompson_["cases"][1];
  const LinearStatistics statistics = Sums(50, false);
  parameters_.scale = 4 / Publish(statistics).sigma();  // covariance 16 inverse(A)
  ExpectProbabilityBest(statistics, Millionths(golden["contexts"]), golden);
}

}  // namespace
}  // namespace offerd
