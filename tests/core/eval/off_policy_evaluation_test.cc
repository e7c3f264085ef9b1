#include "core/eval/off_policy_evaluation.h"

#include <cmath>
#include <functional>
#include <limits>

#include "core/rng.h"
#include "tests/support/reference/bandit_world.h"
#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

OffPolicyEvaluation::Options MakeOptions(const std::vector<std::string>& names) {
  OffPolicyEvaluation::Options options;
  for (const std::string& name : names) options.estimators.push_back(*ParseEstimator(name));
  options.propensity = options.estimators[0].propensity();
  options.has_reward_model = true;
  return options;
}

OffPolicyEvaluation MakeEvaluation(const std::vector<std::string>& names) {
  return *OffPolicyEvaluation::Create(MakeOptions(names));
}

LoggedAction Row(double propensity, double reward, double target, int position = 1) {
  LoggedAction action;
  action.position = position;
  action.propensity = propensity;
  action.reward = reward;
  action.target_probability = target;
  return action;
}

TEST(OffPolicyEvaluationTest, ValuesOfThreeRowsByHand) {
  OffPolicyEvaluation evaluation = MakeEvaluation({"ips", "snips", "ips_clipped:max=1.5", "replay", "dm", "dr"});
  LoggedAction first = Row(0.5, 2, 1), second = Row(0.25, 4, 0.25), third = Row(0.5, 8, 0);
  first.q_logged = 1, first.q_target = 3;
  second.q_logged = 5, second.q_target = 2;
  for (const LoggedAction& row : {first, second, third}) ASSERT_OK(evaluation.AddDecision({row}, std::nullopt));
  const EvaluationReport report = *evaluation.Report(IntervalKind::kNormal);
  EXPECT_DOUBLE_EQ(report.estimates[0].value, (2 * 2 + 1 * 4) / 3.0);
  EXPECT_DOUBLE_EQ(report.estimates[1].value, (2 * 2 + 1 * 4) / 3.0);  // weights sum to 3
  EXPECT_DOUBLE_EQ(report.estimates[2].value, (1.5 * 2 + 1 * 4) / 3.0);
  EXPECT_DOUBLE_EQ(report.estimates[3].value, (1 * 2 + 0.25 * 4) / 1.25);
  EXPECT_DOUBLE_EQ(report.estimates[4].value, 5.0 / 3);
  EXPECT_DOUBLE_EQ(report.estimates[5].value, (3 + 2 * (2 - 1) + 2 + 1 * (4 - 5)) / 3.0);
  EXPECT_DOUBLE_EQ(report.estimates[0].effective_samples, 9.0 / 5);
  EXPECT_EQ(report.estimates[0].rows, 3);
}

TEST(OffPolicyEvaluationTest, ReplayOfADeterministicTargetIsTheMeanWhereItAgrees) {
  OffPolicyEvaluation evaluation = MakeEvaluation({"replay"});
  double agreed = 0, rewards = 0;
  Rng rng(1);
  for (int i = 0; i < 1000; ++i) {
    const bool agrees = rng.NextUniform() < 0.25;
    const double reward = rng.NextUniform();
    agreed += agrees ? 1 : 0;
    rewards += agrees ? reward : 0;
    ASSERT_OK(evaluation.AddDecision({Row(0.25, reward, agrees ? 1 : 0)}, std::nullopt));
  }
  const Estimate estimate = evaluation.Report(IntervalKind::kNormal)->estimates[0];
  EXPECT_NEAR(estimate.value, rewards / agreed, 1e-12);
  EXPECT_NEAR(estimate.effective_samples, agreed, 1e-9);
  EXPECT_THAT(estimate.warnings, IsEmpty());
}

// Every row twice under one customer knows no more than every row once.
TEST(OffPolicyEvaluationTest, RepeatsWithinACustomerDoNotNarrowTheInterval) {
  const BanditWorld world(5, 0.5, 4, 1);
  const std::vector<std::string> names = {"ips", "snips", "dr", "sndr", "dm", "switch_dr:max=2"};
  OffPolicyEvaluation once = MakeEvaluation(names), twice = MakeEvaluation(names), unclustered = MakeEvaluation(names);
  Rng rng(2);
  for (uint64_t customer = 0; customer < 1000; ++customer) {
    const LoggedAction row = world.Draw(rng);
    ASSERT_OK(once.AddDecision({row}, customer));
    for (int i = 0; i < 2; ++i) {
      ASSERT_OK(twice.AddDecision({row}, customer));
      ASSERT_OK(unclustered.AddDecision({row}, std::nullopt));
    }
  }
  const auto estimates = [](const OffPolicyEvaluation& of) { return of.Report(IntervalKind::kNormal)->estimates; };
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_NEAR(estimates(twice)[i].value, estimates(once)[i].value, 1e-12) << names[i];
    EXPECT_NEAR(*estimates(twice)[i].standard_error / *estimates(once)[i].standard_error, 1, 1e-9) << names[i];
    EXPECT_NEAR(*estimates(unclustered)[i].standard_error / *estimates(once)[i].standard_error, std::sqrt(0.5), 1e-3) << names[i];
  }
}

TEST(OffPolicyEvaluationTest, RowsOfOneDecisionAreOneClusterWithoutCustomers) {
  OffPolicyEvaluation evaluation = MakeEvaluation({"ips"});
  for (int i = 0; i < 100; ++i) {
    ASSERT_OK(evaluation.AddDecision({Row(0.5, i % 2, 0.5, 1), Row(0.5, i % 2, 0.5, 2)}, std::nullopt));
  }
  const EvaluationReport report = *evaluation.Report(IntervalKind::kNormal);
  EXPECT_EQ(report.diagnostics.clusters, 100);
  EXPECT_NEAR(*report.estimates[0].standard_error, 0.5 / std::sqrt(99), 1e-12);
}

TEST(OffPolicyEvaluationTest, BernsteinIsTheBoundOfMaurerAndPontil) {
  OffPolicyEvaluation::Options options = MakeOptions({"ips"});
  options.reward_range = RewardRange{0, 1};
  OffPolicyEvaluation evaluation = *OffPolicyEvaluation::Create(options);
  const double rewards[] = {0, 0.5, 0.5, 0, 0};
  for (const double reward : rewards) ASSERT_OK(evaluation.AddDecision({Row(0.5, reward, 1)}, std::nullopt));
  const Estimate estimate = evaluation.Report(IntervalKind::kBernstein)->estimates[0];
  const double variance = 0.3;  // of 0, 1, 1, 0, 0
  const double log_term = std::log(4 / 0.05);
  const double half = std::sqrt(2 * variance * log_term / 5) + 7 * 2 * log_term / (3 * 4);  // weights of 2, rewards to 1
  EXPECT_NEAR(estimate.interval->hi, 0.4 + half, 1e-12);
  EXPECT_NEAR(estimate.interval->lo, 0.4 - half, 1e-12);
}

TEST(OffPolicyEvaluationTest, OneClusterHasNoInterval) {
  for (const IntervalKind kind : {IntervalKind::kNormal, IntervalKind::kBootstrap, IntervalKind::kBernstein}) {
    OffPolicyEvaluation evaluation = MakeEvaluation({"ips"});
    for (int i = 0; i < 10; ++i) ASSERT_OK(evaluation.AddDecision({Row(0.5, 1, 0.5)}, 7));
    const Estimate estimate = evaluation.Report(kind)->estimates[0];
    EXPECT_EQ(estimate.value, 1);
    EXPECT_FALSE(estimate.interval.has_value());
    EXPECT_FALSE(estimate.standard_error.has_value());
  }
}

TEST(OffPolicyEvaluationTest, AMillionRowsInGroupsHaveTheStandardErrorOfRows) {
  OffPolicyEvaluation evaluation = MakeEvaluation({"ips"});
  Rng rng(3);
  constexpr int kRows = 1'000'000;
  double sum = 0, squares = 0;
  for (int i = 0; i < kRows; ++i) {
    const double target = rng.NextUniform();
    const double reward = rng.NextUniform() < 0.01 ? 1 : 0;
    const double term = target / 0.5 * reward;
    sum += term;
    squares += term * term;
    ASSERT_OK(evaluation.AddDecision({Row(0.5, reward, target)}, std::nullopt));
  }
  const double mean = sum / kRows;
  const double standard_error = std::sqrt((squares / kRows - mean * mean) / kRows);
  const Estimate estimate = evaluation.Report(IntervalKind::kNormal)->estimates[0];
  EXPECT_NEAR(estimate.value, mean, 1e-12);
  EXPECT_NEAR(*estimate.standard_error / standard_error, 1, 0.02);
}

TEST(OffPolicyEvaluationTest, ListsOfDifferentLengthsAreValuedAsWholes) {
  OffPolicyEvaluation evaluation = MakeEvaluation({"slate_standard", "slate_reward_interaction", "self_normalized_slate_standard"});
  ASSERT_OK(evaluation.AddDecision({Row(0.5, 1, 0.25), Row(0.5, 2, 1, 2)}, std::nullopt));  // weights .5, 2
  ASSERT_OK(evaluation.AddDecision({Row(0.5, 4, 1)}, std::nullopt));                        // weight 2
  const EvaluationReport report = *evaluation.Report(IntervalKind::kNormal);
  EXPECT_DOUBLE_EQ(report.estimates[0].value, (1.0 * (1 + 2) + 2 * 4) / 2);
  EXPECT_DOUBLE_EQ(report.estimates[1].value, (0.5 * 1 + 1.0 * 2 + 2 * 4) / 2);
  EXPECT_DOUBLE_EQ(report.estimates[2].value, (1.0 * 1 + 2 * 4) / 3 + 2);
}

// ---- what is refused ----

TEST(OffPolicyEvaluationTest, EstimatorsRefuseTheOtherKindOfPropensity) {
  OffPolicyEvaluation::Options options = MakeOptions({"ips"});
  options.propensity = Propensity::kConditional;
  EXPECT_THAT(OffPolicyEvaluation::Create(options),
              StatusIs(absl::StatusCode::kInvalidArgument, "estimator ips: expected --propensity marginal, got conditional"));
  options = MakeOptions({"cascade_dr"});
  options.propensity = Propensity::kMarginal;
  EXPECT_THAT(OffPolicyEvaluation::Create(options),
              StatusIs(absl::StatusCode::kInvalidArgument, "estimator cascade_dr: expected --propensity conditional, got marginal"));
}

TEST(OffPolicyEvaluationTest, EstimatorsWithAModelRefuseALogWithoutOne) {
  for (const char* name : {"dm", "dr", "sndr", "switch_dr:max=2", "cascade_dr"}) {
    OffPolicyEvaluation::Options options = MakeOptions({name});
    options.has_reward_model = false;
    EXPECT_THAT(OffPolicyEvaluation::Create(options), StatusIs(absl::StatusCode::kInvalidArgument, "columns q_logged and q_target"));
  }
}

TEST(OffPolicyEvaluationTest, FieldsOutOfRangeAreRefusedAndNothingChanges) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInfinity = std::numeric_limits<double>::infinity();
  OffPolicyEvaluation::Options options = MakeOptions({"ips"});
  options.reward_range = RewardRange{-1, 1};
  OffPolicyEvaluation evaluation = *OffPolicyEvaluation::Create(options);
  const std::pair<LoggedAction, const char*> kCases[] = {
      {Row(0, 1, 0.5), "propensity: expected above 0 and at most 1, got 0"},
      {Row(-0.5, 1, 0.5), "propensity: expected above 0 and at most 1, got -0.5"},
      {Row(1.0000001, 1, 0.5), "got 1.0000001"},
      {Row(kNan, 1, 0.5), "propensity: "},
      {Row(1e-60, 1, 0.5), "propensity: expected large enough for a weight of at most 1e50, got 1e-60"},
      {Row(0.5, kInfinity, 0.5), "reward: expected a finite number"},
      {Row(0.5, kNan, 0.5), "reward: expected a finite number"},
      {Row(0.5, 1.5, 0.5), "reward: expected in the declared range from -1 to 1, got 1.5"},
      {Row(0.5, 1, -0.1), "target_probability: expected from 0 to 1, got -0.1"},
      {Row(0.5, 1, 1.00001), "target_probability: expected from 0 to 1, got 1.00001"},
      {Row(0.5, 1, kNan), "target_probability: "},
      {Row(0.5, 1, 0.5, 0), "position: expected a whole number from 1 to 1000, got 0"},
  };
  for (const auto& [row, message] : kCases) {
    EXPECT_THAT(evaluation.AddDecision({row}, std::nullopt), StatusIs(absl::StatusCode::kInvalidArgument, message));
  }
  EXPECT_THAT(evaluation.AddDecision({}, std::nullopt), StatusIs(absl::StatusCode::kInvalidArgument, "at least one row"));
  EXPECT_EQ(evaluation.rows(), 0);
  EXPECT_OK(evaluation.AddDecision({Row(1, 1, 1 + 1e-7)}, std::nullopt));  // rounding of a sum
}

TEST(OffPolicyEvaluationTest, SlatesNeedEveryPositionOnce) {
  for (const char* name : {"slate_standard", "slate_independent", "slate_reward_interaction", "cascade_dr"}) {
    OffPolicyEvaluation evaluation = MakeEvaluation({name});
    EXPECT_THAT(evaluation.AddDecision({Row(0.5, 1, 0.5), Row(0.5, 1, 0.5, 3)}, std::nullopt),
                StatusIs(absl::StatusCode::kInvalidArgument, "position: expected 1 to 2, each once, got 3 in place 2"));
    EXPECT_THAT(evaluation.AddDecision({Row(0.5, 1, 0.5, 2)}, std::nullopt), StatusIs(absl::StatusCode::kInvalidArgument, "got 2 in place 1"));
  }
}

TEST(OffPolicyEvaluationTest, AnEmptyLogAndWeightsThatAreAllZeroHaveNoValue) {
  OffPolicyEvaluation evaluation = MakeEvaluation({"snips"});
  EXPECT_THAT(evaluation.Report(IntervalKind::kNormal), StatusIs(absl::StatusCode::kInvalidArgument, "got an empty one"));
  ASSERT_OK(evaluation.AddDecision({Row(0.5, 1, 0)}, std::nullopt));
  EXPECT_THAT(evaluation.Report(IntervalKind::kNormal), StatusIs(absl::StatusCode::kInvalidArgument, "only target probabilities of 0"));
}

// ---- warnings ----

std::vector<std::string> WarningsOf(const char* name, int rows, const std::function<LoggedAction(Rng&)>& draw) {
  OffPolicyEvaluation evaluation = MakeEvaluation({name});
  Rng rng(11);
  for (int i = 0; i < rows; ++i) EXPECT_OK(evaluation.AddDecision({draw(rng)}, std::nullopt));
  return evaluation.Report(IntervalKind::kNormal)->estimates[0].warnings;
}

TEST(EvaluationWarningsTest, PropensitiesThatAreHalfTheTruthContradictTheDraw) {
  const auto draw = [](Rng& rng) { return Row(0.25, 1, rng.NextUniform() < 0.5 ? 1 : 0); };  // drawn half of the time
  EXPECT_THAT(WarningsOf("ips", 10000, draw), ::testing::ElementsAre(HasSubstr("the propensities contradict the draw")));
}

TEST(EvaluationWarningsTest, WhatTheLogNeverShowsIsSaidWithItsMass) {
  // The log shows two of three actions; the target puts .4, .3 and .3 on them.
  const auto draw = [](Rng& rng) { return Row(0.5, 1, rng.NextUniform() < 0.5 ? 0.4 : 0.3); };
  const std::vector<std::string> warnings = WarningsOf("ips", 10000, draw);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_THAT(warnings[0], ::testing::ContainsRegex("could not have shown (29|30|30\\.[0-9]|29\\.[0-9]) % of what the target"));
}

TEST(EvaluationWarningsTest, AModelThatIsWrongWhereTheTargetGoesIsSaidToWhoLeansOnIt) {
  const auto draw = [](Rng& rng) {
    const bool is_target = rng.NextUniform() < 0.5;
    LoggedAction row = Row(0.5, rng.NextUniform() < 0.2 ? 1 : 0, is_target ? 1 : 0);
    row.q_logged = is_target ? 0.4 : 0;  // right on average
    row.q_target = 0.4;
    return row;
  };
  EXPECT_THAT(WarningsOf("dm", 10000, draw), ::testing::ElementsAre(HasSubstr("the reward model is off by -0.")));
  EXPECT_THAT(WarningsOf("switch_dr:max=1", 10000, draw), ::testing::ElementsAre(HasSubstr("the reward model is off by -0.")));
  EXPECT_THAT(WarningsOf("dr", 10000, draw), IsEmpty());
}

TEST(EvaluationWarningsTest, AHeavyTailIsSaidAndASeldomAgreementIsNot) {
  const auto heavy = [](Rng& rng) {
    return rng.NextUniform() < 0.005 ? Row(0.005, 1, 0.5) : Row(0.995, 1, 0.5);  // weights of 100 and .5
  };
  EXPECT_THAT(WarningsOf("ips", 100000, heavy), ::testing::Contains(HasSubstr("hangs on few rows")).Times(0));  // 500 of them
  const auto tail = [](Rng& rng) {
    const double weight = 0.2 * std::pow(1 - rng.NextUniform(), -0.8);  // mean 1, no variance
    const double propensity = 0.5 * std::min(1.0, 1 / weight);
    return Row(propensity, 1, propensity * weight);
  };
  EXPECT_THAT(WarningsOf("ips", 100000, tail), ::testing::Contains(HasSubstr("hangs on few rows")));
  EXPECT_THAT(WarningsOf("dm", 100000, tail), ::testing::Contains(HasSubstr("hangs on few rows")).Times(0));
  const auto seldom = [](Rng& rng) { return Row(0.02, 1, rng.NextUniform() < 0.02 ? 1 : 0); };
  EXPECT_THAT(WarningsOf("ips", 10000, seldom), IsEmpty());
}

TEST(EvaluationWarningsTest, FewCustomersAreSaid) {
  OffPolicyEvaluation evaluation = MakeEvaluation({"ips"});
  for (uint64_t i = 0; i < 1000; ++i) ASSERT_OK(evaluation.AddDecision({Row(0.5, 1, 0.5)}, i % 12));
  EXPECT_THAT(evaluation.Report(IntervalKind::kNormal)->estimates[0].warnings, ::testing::ElementsAre(HasSubstr("12 independent customers")));
}

}  // namespace
}  // namespace offerd
