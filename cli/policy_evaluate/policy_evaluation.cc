#include "cli/policy_evaluate/policy_evaluation.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/policy_evaluate/bandit_log.h"
#include "core/status_macros.h"

namespace offerd::cli {

absl::StatusOr<PolicyEvaluationPlan> PlanPolicyEvaluation(const PolicyEvaluationArguments& arguments) {
  PolicyEvaluationPlan plan;
  plan.log = arguments.log;
  if (arguments.interval == "bootstrap") {
    plan.interval = IntervalKind::kBootstrap;
  } else if (arguments.interval == "bernstein") {
    plan.interval = IntervalKind::kBernstein;
  } else if (arguments.interval != "normal") {
    return absl::InvalidArgumentError(
        absl::StrCat("--interval: expected normal, bootstrap or bernstein, got ", arguments.interval));
  }
  if (arguments.propensity == "conditional") {
    plan.options.propensity = Propensity::kConditional;
  } else if (arguments.propensity != "marginal") {
    return absl::InvalidArgumentError(
        absl::StrCat("--propensity: expected marginal or conditional, got ", arguments.propensity));
  }
  for (const std::string& text : arguments.estimators) {
    ASSIGN_OR_RETURN(Estimator estimator, ParseEstimator(text));
    plan.options.estimators.push_back(std::move(estimator));
  }
  if (!arguments.reward_range.empty()) {
    const std::vector<double>& range = arguments.reward_range;
    if (range.size() != 2 || !(range[0] < range[1])) {
      return absl::InvalidArgumentError("--reward-range: expected the lowest and the highest reward, LOW,HIGH");
    }
    plan.options.reward_range = RewardRange{range[0], range[1]};
  }
  OffPolicyEvaluation::Options with_model = plan.options;  // whether the file has a model is not known yet
  with_model.has_reward_model = true;
  RETURN_IF_ERROR(OffPolicyEvaluation::Create(std::move(with_model)).status());
  return plan;
}

absl::StatusOr<PolicyEvaluationResult> EvaluatePolicy(const PolicyEvaluationPlan& plan) {
  ASSIGN_OR_RETURN(const std::unique_ptr<BanditLog> log,
                   BanditLog::Open(plan.log, plan.options.reward_range.value_or(RewardRange())));
  const auto in_file = [&plan](const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat(plan.log, ": ", status.message()));
  };
  OffPolicyEvaluation::Options options = plan.options;
  options.has_reward_model = log->has_reward_model();
  absl::StatusOr<OffPolicyEvaluation> evaluation = OffPolicyEvaluation::Create(std::move(options));
  if (!evaluation.ok()) return in_file(evaluation.status());
  LoggedDecision decision;
  while (true) {
    ASSIGN_OR_RETURN(const bool has_decision, log->Next(&decision));
    if (!has_decision) break;
    const absl::Status added = evaluation->AddDecision(decision.actions, decision.customer);
    if (!added.ok()) {
      return in_file(absl::Status(added.code(), absl::StrCat("lines ", decision.first_line, " to ", decision.last_line,
                                                             ": decision ", decision.id, ": ", added.message())));
    }
  }
  absl::StatusOr<EvaluationReport> report = evaluation->Report(plan.interval);
  if (!report.ok()) return in_file(report.status());
  return PolicyEvaluationResult{*std::move(report), log->has_customer(), log->decisions_not_remembered()};
}

}  // namespace offerd::cli
