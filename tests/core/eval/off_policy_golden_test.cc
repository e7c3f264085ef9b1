#include <cmath>
#include <nlohmann/json.hpp>

#include "core/eval/off_policy_evaluation.h"
#include "tests/support/reference/evaluation_golden.h"
#include "tests/support/status_matchers.h"

// Numbers of obp 0.5.7, see shared/data/goldens/ope.py and slate.py.
namespace offerd {
namespace {

using Json = nlohmann::json;

Json ReadGolden(const std::string& relative_path) { return Json::parse(ReadSharedText(relative_path)); }

OffPolicyEvaluation MakeEvaluation(const std::vector<std::string>& names, Propensity propensity) {
  OffPolicyEvaluation::Options options;
  options.propensity = propensity;
  options.has_reward_model = true;
  for (const std::string& name : names) options.estimators.push_back(*ParseEstimator(name));
  absl::StatusOr<OffPolicyEvaluation> evaluation = OffPolicyEvaluation::Create(std::move(options));
  EXPECT_OK(evaluation);
  return *std::move(evaluation);
}

// The golden's ends are percentiles of other resamples: tolerance in standard errors, as the golden file has it.
void ExpectBootstrap(const Estimate& estimate, const Json& ends, double standard_error, double tolerance) {
  ASSERT_TRUE(estimate.interval.has_value());
  EXPECT_NEAR(estimate.interval->lo, ends[0].get<double>(), tolerance * standard_error) << estimate.estimator;
  EXPECT_NEAR(estimate.interval->hi, ends[1].get<double>(), tolerance * standard_error) << estimate.estimator;
}

class OpenBanditTest : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(BothLogs, OpenBanditTest, ::testing::Values("bts_to_uniform", "random_to_bts"));

TEST_P(OpenBanditTest, EveryEstimatorIsThatOfObp) {
  SKIP_WITHOUT_SHARED_DATA("goldens/ope/estimates.json");
  const Json file = ReadGolden("goldens/ope/estimates.json");
  Json golden;
  for (const Json& log : file["results"]) {
    const std::string name = log["log"].get<std::string>() == "obd/bts/men" ? "bts_to_uniform" : "random_to_bts";
    if (name == GetParam()) golden = log;
  }
  const Json& expected = golden["estimates"];
  ASSERT_EQ(expected.size(), 15u);
  std::vector<std::string> names;
  for (const Json& estimate : expected) {
    const Json& parameter = estimate["parameter"];
    names.push_back(EstimatorOfGolden(estimate["estimator"], parameter.is_null() ? 0 : parameter.get<double>()));
  }
  OffPolicyEvaluation evaluation = MakeEvaluation(names, Propensity::kMarginal);
  const std::vector<LoggedAction> actions =
      ReadGoldenActions(std::string("goldens/ope/rows_") + GetParam() + ".csv.zst");
  ASSERT_EQ(actions.size(), golden["rows"].get<size_t>());
  for (const LoggedAction& action : actions) ASSERT_OK(evaluation.AddDecision({action}, std::nullopt));

  const EvaluationReport normal = *evaluation.Report(IntervalKind::kNormal);
  const EvaluationReport bootstrap = *evaluation.Report(IntervalKind::kBootstrap, {.replicates = 10000});
  for (size_t i = 0; i < names.size(); ++i) {
    const Estimate& estimate = normal.estimates[i];
    EXPECT_EQ(estimate.estimator, names[i]);
    EXPECT_NEAR(estimate.value / expected[i]["value"].get<double>(), 1, 1e-10) << names[i];
    EXPECT_NEAR(*estimate.standard_error / expected[i]["standard_error"].get<double>(), 1, 1e-8) << names[i];
    EXPECT_NEAR(estimate.interval->lo, expected[i]["normal_95"][0].get<double>(), 1e-10) << names[i];
    EXPECT_NEAR(estimate.interval->hi, expected[i]["normal_95"][1].get<double>(), 1e-10) << names[i];
    // obp resamples terms that are divided by the mean weight of the whole log, ours by that of each resample.
    const bool is_self_normalized = names[i] == "snips" || names[i] == "sndr";
    ExpectBootstrap(bootstrap.estimates[i], expected[i]["bootstrap_95"], *estimate.standard_error,
                    is_self_normalized ? 0.25 : 0.15);
    EXPECT_NEAR(estimate.effective_samples, golden["effective_sample"].get<double>(), 1e-6);
  }
  EXPECT_NEAR(normal.diagnostics.largest_weights_share, golden["weight_of_largest_1_percent"].get<double>(), 1e-5);
  EXPECT_NEAR(normal.diagnostics.mean_weight, golden["weight_sum"].get<double>() / 10000, 1e-10);
  EXPECT_NEAR(normal.diagnostics.largest_weight, golden["weight_max"].get<double>(), 1e-10);
  EXPECT_NEAR(normal.diagnostics.mean_reward, golden["on_policy_value"].get<double>(), 1e-12);
}

std::vector<std::string> WarningsOn(const std::string& log, const std::string& estimator) {
  OffPolicyEvaluation evaluation = MakeEvaluation({estimator}, Propensity::kMarginal);
  for (const LoggedAction& action : ReadGoldenActions("goldens/ope/rows_" + log + ".csv.zst")) {
    EXPECT_OK(evaluation.AddDecision({action}, std::nullopt));
  }
  return evaluation.Report(IntervalKind::kNormal)->estimates[0].warnings;
}

TEST(OpenBanditTest, TheUniformLogOf10000RowsHasNoWarning) {
  SKIP_WITHOUT_SHARED_DATA("goldens/ope/estimates.json");
  for (const char* estimator : {"dm", "ips", "snips", "dr", "sndr", "switch_dr:max=10", "dr_os:lambda=10", "replay"}) {
    EXPECT_THAT(WarningsOn("random_to_bts", estimator), ::testing::IsEmpty()) << estimator;
  }
}

TEST(OpenBanditTest, ThePoorOverlapOfTheThompsonLogIsSaidWithItsNumbers) {
  SKIP_WITHOUT_SHARED_DATA("goldens/ope/estimates.json");
  using ::testing::HasSubstr;
  EXPECT_THAT(WarningsOn("bts_to_uniform", "ips"), ::testing::ElementsAre(HasSubstr("carry 26.9 % of all weight")));
  // The model says .0068 where the other log has .0046.
  EXPECT_THAT(WarningsOn("bts_to_uniform", "dm"),
              ::testing::ElementsAre(HasSubstr("the reward model is off by -0.00369")));
  EXPECT_THAT(WarningsOn("bts_to_uniform", "replay"),
              ::testing::Contains(HasSubstr("propensities from 0.000165 to 0.7253")));
}

TEST(SlateGoldenTest, EveryEstimatorIsThatOfObp) {
  SKIP_WITHOUT_SHARED_DATA("goldens/slate/estimates.json");
  const Json golden = ReadGolden("goldens/slate/estimates.json");
  int checked = 0;
  for (const Propensity propensity : {Propensity::kMarginal, Propensity::kConditional}) {
    const auto slates = ReadGoldenSlates(propensity == Propensity::kMarginal);
    ASSERT_EQ(slates.size(), 2000u);
    for (const Json& expected : golden["estimates"]) {
      const std::string name = EstimatorOfGolden(expected["estimator"], 0);
      if (ParseEstimator(name)->propensity() != propensity) continue;
      OffPolicyEvaluation evaluation = MakeEvaluation({name}, propensity);
      for (const std::vector<LoggedAction>& slate : slates) ASSERT_OK(evaluation.AddDecision(slate, std::nullopt));
      const Estimate estimate = evaluation.Report(IntervalKind::kBootstrap)->estimates[0];
      EXPECT_NEAR(estimate.value / expected["value"].get<double>(), 1, 1e-10) << name;
      if (expected.contains("standard_error")) {
        EXPECT_NEAR(*estimate.standard_error / expected["standard_error"].get<double>(), 1, 1e-8) << name;
      }
      if (ParseEstimator(name)->is_self_normalized_slate()) {
        // obp resamples terms that are divided by the means of the whole log, ours by those of each resample: narrower.
        EXPECT_GT(estimate.interval->lo, expected["bootstrap_95"][0].get<double>() - 0.35 * *estimate.standard_error);
        EXPECT_LT(estimate.interval->hi, expected["bootstrap_95"][1].get<double>() + 0.35 * *estimate.standard_error);
      } else {
        ExpectBootstrap(estimate, expected["bootstrap_95"], *estimate.standard_error, 0.35);
      }
      EXPECT_THAT(estimate.warnings, ::testing::IsEmpty()) << name;
      ++checked;
    }
  }
  EXPECT_EQ(checked, 7);
}

}  // namespace
}  // namespace offerd
