// Values a policy from a file of logged decisions; needs no server. The work is in cli/policy_evaluate/.
#include <memory>

#include "cli/commands.h"
#include "cli/policy_evaluate/policy_evaluation.h"
#include "core/status_macros.h"

namespace offerd::cli {
namespace {

absl::Status Run(Session& session, const PolicyEvaluationArguments& arguments) {
  const absl::StatusOr<PolicyEvaluationPlan> plan = PlanPolicyEvaluation(arguments);
  if (!plan.ok()) return UsageError(plan.status().message());
  ASSIGN_OR_RETURN(const PolicyEvaluationResult result, EvaluatePolicy(*plan));
  PrintPolicyEvaluation(result, session.json, session.out);
  return absl::OkStatus();
}

}  // namespace

void AddPolicyEvaluate(CLI::App& policy, Session& session) {
  auto arguments = std::make_shared<PolicyEvaluationArguments>();
  CLI::App* command = AddCommand(policy, "evaluate", "Values a policy from the log of another", session,
                                 [&session, arguments] { return Run(session, *arguments); });
  command->add_option("--log", arguments->log, "CSV of logged decisions; plain, gzip or zstd")->required();
  command->add_option("--estimator", arguments->estimators, "NAME[:key=value]; may be repeated")->required();
  command->add_option("--interval", arguments->interval, "normal, bootstrap or bernstein")->capture_default_str();
  command
      ->add_option("--propensity", arguments->propensity, "what probabilities of a list are: marginal or conditional")
      ->capture_default_str();
  command
      ->add_option("--reward-range", arguments->reward_range,
                   "LOW,HIGH: rewards outside are refused, and bernstein uses it")
      ->delimiter(',')
      ->expected(2);
}

}  // namespace offerd::cli
