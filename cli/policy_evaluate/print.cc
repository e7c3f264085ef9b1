#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/format.h"
#include "cli/policy_evaluate/policy_evaluation.h"

namespace offerd::cli {
namespace {

Json ToJson(const Estimate& estimate) {
  return {{"estimator", estimate.estimator},
          {"value", estimate.value},
          {"interval",
           estimate.interval.has_value() ? Json({estimate.interval->lo, estimate.interval->hi}) : Json(nullptr)},
          {"effective_samples", estimate.effective_samples},
          {"rows", estimate.rows},
          {"warnings", estimate.warnings}};
}

Json ToJson(const PolicyEvaluationResult& result) {
  const LogDiagnostics& log = result.report.diagnostics;
  Json json = {{"decisions", log.decisions},
               {"clusters", log.clusters},
               {"clustered_by", result.has_customer ? "customer" : "decision"},
               {"mean_reward", log.mean_reward},
               {"effective_samples", log.effective_samples},
               {"mean_weight", log.mean_weight},
               {"mean_weight_standard_error", log.mean_weight_error},
               {"unsupported_mass", log.unsupported_mass},
               {"largest_weight", log.largest_weight},
               {"largest_weights_share", log.largest_weights_share},
               {"lowest_propensity", log.lowest_propensity},
               {"highest_propensity", log.highest_propensity},
               {"decisions_not_checked_for_repeats", result.decisions_not_remembered}};
  if (log.calibration.has_value()) {
    json["mean_q_logged"] = log.calibration->mean_q_logged;
    json["weighted_residual"] = log.calibration->weighted_residual;
    json["weighted_residual_standard_error"] = log.calibration->weighted_residual_error;
  }
  return json;
}

std::string Number(double value) { return absl::StrFormat("%.6g", value); }

void PrintText(const PolicyEvaluationResult& result, std::ostream& out) {
  std::vector<std::vector<std::string>> rows = {{"estimator", "value", "95 % interval", "effective samples"}};
  std::vector<std::pair<std::string, std::vector<std::string>>> warnings;  // each with the estimators it is about
  for (const Estimate& estimate : result.report.estimates) {
    rows.push_back(
        {estimate.estimator, Number(estimate.value),
         estimate.interval.has_value() ? Number(estimate.interval->lo) + " to " + Number(estimate.interval->hi) : "-",
         FormatCount(static_cast<int64_t>(estimate.effective_samples))});
    for (const std::string& warning : estimate.warnings) {
      auto known = warnings.begin();
      while (known != warnings.end() && known->first != warning) ++known;
      if (known == warnings.end()) known = warnings.insert(warnings.end(), {warning, {}});
      known->second.push_back(estimate.estimator);
    }
  }
  const LogDiagnostics& log = result.report.diagnostics;
  out << FormatTable(rows) << "\n";
  out << FormatCount(log.rows) << " rows, " << FormatCount(log.decisions) << " decisions; intervals over "
      << FormatCount(log.clusters) << (result.has_customer ? " customers" : " decisions")
      << " or groups of them; mean reward as logged " << Number(log.mean_reward) << "\n";
  out << "weights: mean " << Number(log.mean_weight) << " (standard error " << Number(log.mean_weight_error)
      << "), largest " << Number(log.largest_weight) << ", the largest 1 % carry "
      << absl::StrFormat("%.1f %%", 100 * log.largest_weights_share) << "\n";
  if (log.calibration.has_value()) {
    out << "reward model: mean " << Number(log.calibration->mean_q_logged) << " on the log; off by "
        << Number(log.calibration->weighted_residual) << " (standard error "
        << Number(log.calibration->weighted_residual_error) << ") where the target policy goes\n";
  }
  if (result.decisions_not_remembered > 0) {
    out << FormatCount(result.decisions_not_remembered)
        << " decisions were too many to be remembered: whether they repeat each other was not checked\n";
  }
  for (const auto& [warning, estimators] : warnings)
    out << "warning: " << absl::StrJoin(estimators, ", ") << ": " << warning << "\n";
}

}  // namespace

void PrintPolicyEvaluation(const PolicyEvaluationResult& result, bool json, std::ostream& out) {
  if (!json) return PrintText(result, out);
  Json estimates = Json::array();
  for (const Estimate& estimate : result.report.estimates) estimates.push_back(ToJson(estimate));
  out << Dump({{"estimates", std::move(estimates)}, {"diagnostics", ToJson(result)}});
}

}  // namespace offerd::cli
