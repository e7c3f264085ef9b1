#include "core/eval/evaluation_report.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace offerd {
namespace {

constexpr double kFewEffectiveSamples = 100;
constexpr int64_t kFewClusters = 50;
constexpr double kLargeShare = 0.20;
constexpr double kLargeTail = 0.05;
constexpr double kStandardErrors = 4;  // a sound log passes a test of this size 9,999 times in 10,000
constexpr double kRounding = 1e-6;

std::string MeanWeightWarning(const LogDiagnostics& log) {
  const double distance = log.mean_weight - 1;
  if (std::abs(distance) <= std::max(kStandardErrors * log.mean_weight_error, kRounding)) return "";
  const std::string found = absl::StrFormat(
      "the mean weight is %.4g, standard error %.2g, where 1 is expected: ", log.mean_weight, log.mean_weight_error);
  if (distance > 0) return found + "the propensities contradict the draw";
  return absl::StrFormat(
      "%sthe log could not have shown %.3g %% of what the target policy chooses, or the propensities "
      "contradict the draw",
      found, 100 * log.unsupported_mass);
}

std::string CalibrationWarning(const LogDiagnostics& log) {
  if (!log.calibration.has_value()) return "";
  const LogDiagnostics::Calibration& model = *log.calibration;
  if (std::abs(model.weighted_residual) <= std::max(kStandardErrors * model.weighted_residual_error, 1e-12)) return "";
  return absl::StrFormat(
      "the reward model is off by %.4g, standard error %.2g, where the target policy goes, and this "
      "estimator leans on it",
      model.weighted_residual, model.weighted_residual_error);
}

}  // namespace

std::vector<std::string> WarningsFor(const Estimator& estimator, const LogDiagnostics& log, double effective_samples) {
  std::vector<std::string> warnings;
  if (effective_samples < kFewEffectiveSamples) {
    warnings.push_back(
        absl::StrFormat("%.4g effective samples, fewer than 100: the log has too little of what the target "
                        "policy would do",
                        effective_samples));
  }
  if (log.clusters < kFewClusters) {
    warnings.push_back(
        absl::StrCat(log.clusters, " independent customers or decisions, fewer than 50: do not rely on the interval"));
  }
  if (estimator.kind != EstimatorKind::kDm && log.largest_weights_share > kLargeShare && log.tail_share > kLargeTail) {
    warnings.push_back(
        absl::StrFormat("the largest 1 %% of the weights carry %.3g %% of all weight, the largest weight is "
                        "%.4g: the estimate hangs on few rows",
                        100 * log.largest_weights_share, log.largest_weight));
  }
  std::string warning = MeanWeightWarning(log);
  if (!warning.empty()) warnings.push_back(std::move(warning));
  if (estimator.leans_on_reward_model()) {
    warning = CalibrationWarning(log);
    if (!warning.empty()) warnings.push_back(std::move(warning));
  }
  if (estimator.kind == EstimatorKind::kReplay && log.highest_propensity - log.lowest_propensity > kRounding) {
    warnings.push_back(
        absl::StrFormat("propensities from %.4g to %.4g: replay is biased unless the log was made uniformly "
                        "at random",
                        log.lowest_propensity, log.highest_propensity));
  }
  return warnings;
}

}  // namespace offerd
