#pragma once
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/eval/off_policy_evaluation.h"

namespace offerd::cli {

// What `offerctl policy evaluate` was given, as text.
struct PolicyEvaluationArguments {
  std::string log;
  std::vector<std::string> estimators;
  std::string interval = "normal";
  std::string propensity = "marginal";
  std::vector<double> reward_range;  // lowest and highest, or empty
};

// The same, understood.
struct PolicyEvaluationPlan {
  std::string log;
  IntervalKind interval = IntervalKind::kNormal;
  OffPolicyEvaluation::Options options;  // has_reward_model: once the file is open
};

struct PolicyEvaluationResult {
  EvaluationReport report;
  bool has_customer = false;
  int64_t decisions_not_remembered = 0;
};

// InvalidArgument says which argument is wrong and what would do. No file is read.
absl::StatusOr<PolicyEvaluationPlan> PlanPolicyEvaluation(const PolicyEvaluationArguments& arguments);

// Errors: those of BanditLog and OffPolicyEvaluation, with file and line.
absl::StatusOr<PolicyEvaluationResult> EvaluatePolicy(const PolicyEvaluationPlan& plan);

void PrintPolicyEvaluation(const PolicyEvaluationResult& result, bool json, std::ostream& out);

}  // namespace offerd::cli
