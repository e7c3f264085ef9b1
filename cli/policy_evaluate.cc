// Values a policy from a file of logged decisions, which needs no server (the work is in cli/policy_evaluate/), or from the server's own log.
#include <memory>

#include "cli/commands.h"
#include "cli/policy_evaluate/policy_evaluation.h"
#include "cli/policy_log.h"
#include "core/status_macros.h"

namespace offerd::cli {
namespace {

absl::Status Run(Session& session, const PolicyEvaluationArguments& arguments, const PolicyLogArguments& log_arguments) {
  if (arguments.log.empty() == log_arguments.policy.empty()) return UsageError("evaluate: expected --log or --policy, and not both");
  if (arguments.log.empty()) {
    if (!arguments.estimators.empty()) return UsageError("--estimator: goes with --log; of the server's log the placement's gate names it");
    return EvaluateOnServer(session, log_arguments);
  }
  if (arguments.estimators.empty()) return UsageError("--estimator: expected at least one with --log");
  const absl::StatusOr<PolicyEvaluationPlan> plan = PlanPolicyEvaluation(arguments);
  if (!plan.ok()) return UsageError(plan.status().message());
  ASSIGN_OR_RETURN(const PolicyEvaluationResult result, EvaluatePolicy(*plan));
  PrintPolicyEvaluation(result, session.json, session.out);
  return absl::OkStatus();
}

}  // namespace

void AddPolicyEvaluate(CLI::App& policy, Session& session) {
  auto arguments = std::make_shared<PolicyEvaluationArguments>();
  auto log_arguments = std::make_shared<PolicyLogArguments>();
  CLI::App* command = AddCommand(policy, "evaluate", "Values a policy from a log of decisions: a file, or the server's own", session,
                                 [&session, arguments, log_arguments] { return Run(session, *arguments, *log_arguments); });
  command->add_option("--log", arguments->log, "CSV of logged decisions; plain, gzip or zstd");
  command->add_option("--estimator", arguments->estimators, "NAME[:key=value]; may be repeated; with --log");
  command->add_option("--policy", log_arguments->policy, "instead of a file: this policy on the decisions that the server has logged");
  command->add_option("--placement", log_arguments->placement, "with --policy: of this placement");
  command->add_option("--version", log_arguments->version, "with --policy: a kept version; 0 = the newest kept one, else that in force");
  command->add_option("--from", log_arguments->from, "with --policy: decisions from this time on");
  command->add_option("--to", log_arguments->to, "with --policy: decisions up to this time");
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
