#include "cli/policy_evaluate/policy_evaluation.h"

#include <cmath>
#include <sstream>

#include "absl/strings/str_format.h"
#include "cli/format.h"
#include "tests/cli/temp_file.h"
#include "tests/support/reference/evaluation_golden.h"
#include "tests/support/status_matchers.h"

namespace offerd::cli {
namespace {

using absl::StatusCode;
using ::testing::HasSubstr;

constexpr char kHeader[] = "decision,action,position,propensity,reward,target_probability\n";

struct Ran {
  absl::Status status;
  Json json;
  std::string text;
};

Ran Evaluate(const std::string& csv, const std::vector<std::string>& estimators, const std::string& propensity = "marginal",
             const std::string& interval = "normal") {
  const TempFile file(csv);
  PolicyEvaluationArguments arguments;
  arguments.log = file.path();
  arguments.estimators = estimators;
  arguments.propensity = propensity;
  arguments.interval = interval;
  const auto plan = PlanPolicyEvaluation(arguments);
  if (!plan.ok()) return {plan.status(), nullptr, ""};
  const auto result = EvaluatePolicy(*plan);
  if (!result.ok()) return {result.status(), nullptr, ""};
  std::ostringstream json, text;
  PrintPolicyEvaluation(*result, true, json);
  PrintPolicyEvaluation(*result, false, text);
  return {absl::OkStatus(), Json::parse(json.str()), text.str()};
}

std::string CsvRow(const std::string& decision, int action, const LoggedAction& row) {
  return absl::StrFormat("%s,%d,%d,%.17g,%.17g,%.17g,%.17g,%.17g\n", decision, action, row.position, row.propensity, row.reward,
                         row.target_probability, row.q_logged, row.q_target);
}

constexpr char kModelHeader[] = "decision,action,position,propensity,reward,target_probability,q_logged,q_target\n";

TEST(PolicyEvaluationTest, TheGoldensOfBothOpenBanditLogsComeOutOfACsvFile) {
  SKIP_WITHOUT_SHARED_DATA("goldens/ope/estimates.json");
  const Json golden = Json::parse(ReadSharedText("goldens/ope/estimates.json"));
  int checked = 0;
  for (const Json& log : golden["results"]) {
    const bool is_bts = log["log"].get<std::string>() == "obd/bts/men";
    std::string csv = kModelHeader;
    int row = 0;
    for (const LoggedAction& action :
         ReadGoldenActions(is_bts ? "goldens/ope/rows_bts_to_uniform.csv.zst" : "goldens/ope/rows_random_to_bts.csv.zst")) {
      csv += CsvRow(std::to_string(row++), 0, action);
    }
    std::vector<std::string> names;
    for (const Json& estimate : log["estimates"]) {
      names.push_back(EstimatorOfGolden(estimate["estimator"], estimate["parameter"].is_null() ? 0 : estimate["parameter"].get<double>()));
    }
    const Ran ran = Evaluate(Zstd(csv), names);
    ASSERT_OK(ran.status);
    ASSERT_EQ(ran.json["estimates"].size(), 15u);
    for (size_t i = 0; i < names.size(); ++i, ++checked) {
      const Json& ours = ran.json["estimates"][i];
      const Json& theirs = log["estimates"][i];
      EXPECT_EQ(ours["estimator"], names[i]);
      EXPECT_NEAR(ours["value"].get<double>() / theirs["value"].get<double>(), 1, 1e-10) << names[i];
      for (const int end : {0, 1}) {
        EXPECT_NEAR(ours["interval"][end].get<double>(), theirs["normal_95"][end].get<double>(), 1e-10) << names[i];
      }
      EXPECT_NEAR(ours["effective_samples"].get<double>(), log["effective_sample"].get<double>(), 1e-6);
      EXPECT_EQ(ours["rows"], 10000);
    }
  }
  EXPECT_EQ(checked, 30);
}

TEST(PolicyEvaluationTest, TheGoldensOfSlatesComeOutOfACsvFile) {
  SKIP_WITHOUT_SHARED_DATA("goldens/slate/estimates.json");
  const Json golden = Json::parse(ReadSharedText("goldens/slate/estimates.json"));
  int checked = 0;
  for (const bool is_marginal : {true, false}) {
    std::string csv = kModelHeader;
    int slate = 0;
    for (const auto& actions : ReadGoldenSlates(is_marginal)) {
      ++slate;
      for (const LoggedAction& action : actions) csv += CsvRow(absl::StrFormat("s%d", slate), 0, action);
    }
    for (const Json& estimate : golden["estimates"]) {
      const std::string name = EstimatorOfGolden(estimate["estimator"], 0);
      const Ran ran = Evaluate(csv, {name}, is_marginal ? "marginal" : "conditional");
      if ((ParseEstimator(name)->propensity() == Propensity::kMarginal) != is_marginal) {
        EXPECT_THAT(ran.status, StatusIs(StatusCode::kInvalidArgument, "expected --propensity")) << name;
        continue;
      }
      ASSERT_OK(ran.status);
      EXPECT_NEAR(ran.json["estimates"][0]["value"].get<double>() / estimate["value"].get<double>(), 1, 1e-10) << name;
      EXPECT_EQ(ran.json["estimates"][0]["rows"], 6000);
      ++checked;
    }
  }
  EXPECT_EQ(checked, 7);
}

TEST(PolicyEvaluationTest, CustomersOfTheFileAreTheClusters) {
  std::string once = "decision,action,position,propensity,reward,target_probability,customer\n", twice = once;
  for (int i = 0; i < 400; ++i) {
    const std::string row = absl::StrFormat(",a,1,0.5,%d,%g,c%d\n", i % 3 == 0, i % 5 == 0 ? 1.0 : 0.375, i);
    once += absl::StrFormat("%d", i) + row;
    twice += absl::StrFormat("%d", i) + row;
  }
  for (int i = 0; i < 400; ++i) {  // the same customers again
    twice += absl::StrFormat("%d", 1000 + i) + absl::StrFormat(",a,1,0.5,%d,%g,c%d\n", i % 3 == 0, i % 5 == 0 ? 1.0 : 0.375, i);
  }
  const Ran a = Evaluate(once, {"ips"}), b = Evaluate(twice, {"ips"});
  for (const int end : {0, 1}) {
    EXPECT_NEAR(a.json["estimates"][0]["interval"][end].get<double>(), b.json["estimates"][0]["interval"][end].get<double>(), 1e-12);
  }
  EXPECT_EQ(b.json["estimates"][0]["rows"], 800);
  EXPECT_EQ(b.json["diagnostics"]["clusters"], 400);
  EXPECT_EQ(b.json["diagnostics"]["clustered_by"], "customer");
  EXPECT_THAT(b.text, HasSubstr("400 customers"));
}

TEST(PolicyEvaluationTest, EveryIntervalIsAroundTheValueAndTheSameEveryTime) {
  std::string csv = kHeader;
  for (int i = 0; i < 500; ++i) csv += absl::StrFormat("%d,a,1,0.5,%d,%g\n", i, i % 4 == 0, i % 2 == 0 ? 0.75 : 0.25);
  for (const char* interval : {"normal", "bootstrap", "bernstein"}) {
    const Ran ran = Evaluate(csv, {"ips", "snips"}, "marginal", interval);
    ASSERT_OK(ran.status);
    for (const Json& estimate : ran.json["estimates"]) {
      EXPECT_LT(estimate["interval"][0].get<double>(), estimate["value"].get<double>()) << interval;
      EXPECT_GT(estimate["interval"][1].get<double>(), estimate["value"].get<double>()) << interval;
      EXPECT_EQ(estimate["warnings"].size(), 0u) << interval;
    }
    EXPECT_EQ(ran.json, Evaluate(csv, {"ips", "snips"}, "marginal", interval).json);
  }
}

TEST(PolicyEvaluationTest, WarningsStandInBothForms) {
  const Ran ran = Evaluate(std::string(kHeader) + "1,a,1,0.5,1,0.5\n2,a,1,0.5,1,0.5\n", {"ips", "snips"});
  ASSERT_OK(ran.status);
  EXPECT_THAT(ran.json["estimates"][0]["warnings"][0].get<std::string>(), HasSubstr("2 effective samples, fewer than 100"));
  EXPECT_THAT(ran.text, HasSubstr("warning: ips, snips: 2 effective samples, fewer than 100"));
}

TEST(PolicyEvaluationTest, ArgumentsThatWillNotDoAreErrors) {
  const std::string csv = std::string(kHeader) + "1,a,1,0.5,1,0.5\n2,a,1,0.5,1,0.5\n";
  EXPECT_THAT(Evaluate(csv, {"ips"}, "joint").status, StatusIs(StatusCode::kInvalidArgument, "--propensity: expected marginal or"));
  EXPECT_THAT(Evaluate(csv, {"ips"}, "marginal", "exact").status, StatusIs(StatusCode::kInvalidArgument, "--interval: expected normal"));
  EXPECT_THAT(Evaluate(csv, {"ips", "ipw"}).status, StatusIs(StatusCode::kInvalidArgument, "estimator ipw: there is no such"));
  EXPECT_THAT(Evaluate(csv, {"ips"}, "conditional").status,
              StatusIs(StatusCode::kInvalidArgument, "estimator ips: expected --propensity marginal, got conditional"));
  EXPECT_THAT(Evaluate(csv, {"dr"}).status, StatusIs(StatusCode::kInvalidArgument, "expected the columns q_logged and q_target"));
}

TEST(PolicyEvaluationTest, LogsThatWillNotDoAreErrorsWithTheirFile) {
  EXPECT_THAT(Evaluate(kHeader, {"ips"}).status, StatusIs(StatusCode::kInvalidArgument, ": expected a log with decisions, got an empty one"));
  EXPECT_THAT(Evaluate(std::string(kHeader) + "1,a,1,0.5,1,0.5\nx,a,1,0.5,1,0.5\nx,b,3,0.5,1,0.5\n", {"slate_standard"}, "conditional").status,
              StatusIs(StatusCode::kInvalidArgument, "lines 3 to 4: decision x: position: expected 1 to 2, each once, got 3"));
}

}  // namespace
}  // namespace offerd::cli
