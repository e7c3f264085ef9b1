#include "core/eval/off_policy_evaluation.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace offerd {
namespace {

constexpr double kNormal975 = 1.959963984540054;
const double kLogFourOverAlpha = std::log(4 / 0.05);

absl::Status CheckEstimator(const Estimator& estimator, const OffPolicyEvaluation::Options& options) {
  if (estimator.propensity() != options.propensity) {
    const char* hint = estimator.is_slate() ? "" : "; it values one action at a time, so list probabilities mislead it";
    return absl::InvalidArgumentError(absl::StrCat("estimator ", estimator.text, ": expected --propensity ",
                                                   PropensityName(estimator.propensity()), ", got ",
                                                   PropensityName(options.propensity), hint));
  }
  if ((estimator.needs_q_target() || estimator.needs_q_logged()) && !options.has_reward_model) {
    return absl::InvalidArgumentError(absl::StrCat(
        "estimator ", estimator.text, ": expected the columns q_logged and q_target, got a log without them"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<OffPolicyEvaluation> OffPolicyEvaluation::Create(Options options) {
  if (options.estimators.empty()) return absl::InvalidArgumentError("expected at least one estimator, got none");
  for (const Estimator& estimator : options.estimators) RETURN_IF_ERROR(CheckEstimator(estimator, options));
  return OffPolicyEvaluation(std::move(options));
}

OffPolicyEvaluation::OffPolicyEvaluation(Options options)
    : options_(std::move(options)), columns_(options_.estimators), sums_(columns_.Width(0)) {
  for (const Estimator& estimator : options_.estimators) has_slates_ = has_slates_ || estimator.is_slate();
  if (options_.reward_range.has_value()) ranges_.DeclareRewards(*options_.reward_range);
}

absl::Status OffPolicyEvaluation::CheckDecision(absl::Span<const LoggedAction> actions) const {
  if (actions.empty()) return absl::InvalidArgumentError("decision: expected at least one row, got none");
  const RewardRange rewards = options_.reward_range.value_or(RewardRange());
  for (size_t i = 0; i < actions.size(); ++i) {
    RETURN_IF_ERROR(CheckLoggedAction(actions[i], rewards));
    if (has_slates_ && actions[i].position != static_cast<int>(i) + 1) {
      return absl::InvalidArgumentError(absl::StrCat("position: expected 1 to ", actions.size(), ", each once, got ",
                                                     actions[i].position, " in place ", i + 1));
    }
  }
  return absl::OkStatus();
}

absl::Status OffPolicyEvaluation::AddDecision(absl::Span<const LoggedAction> actions, std::optional<uint64_t> cluster) {
  RETURN_IF_ERROR(CheckDecision(actions));
  prefix_weights_.clear();
  if (options_.propensity == Propensity::kConditional) {
    double product = 1;
    for (const LoggedAction& action : actions) prefix_weights_.push_back(product *= action.weight());
    if (product > kLargestMagnitude) {
      return absl::InvalidArgumentError(absl::StrCat(
          "propensity: expected a product large enough for a list's weight of at most 1e50, got a weight of ",
          product));
    }
    weights_.Add(product);
  } else {
    for (const LoggedAction& action : actions) weights_.Add(action.weight());
  }
  ranges_.Add(actions, prefix_weights_);
  const int width = columns_.Width(ranges_.longest_list());
  if (width > sums_.width()) sums_.Widen(width);
  columns_.Add(actions, prefix_weights_, cluster.has_value() ? sums_.Of(*cluster) : sums_.Next());
  rows_ += static_cast<int64_t>(actions.size());
  ++decisions_;
  return absl::OkStatus();
}

LogDiagnostics OffPolicyEvaluation::Diagnose(const std::vector<double>& totals) const {
  LogDiagnostics log;
  log.rows = rows_;
  log.decisions = decisions_;
  log.clusters = static_cast<int64_t>(sums_.size());
  log.effective_samples = weights_.effective_samples();
  log.largest_weight = weights_.largest();
  log.largest_weights_share = weights_.LargestShare(weights_.count() / 100);
  log.tail_share = weights_.LargestShare(std::max<int64_t>(1, std::llround(log.effective_samples / 100)));
  const auto error = [&](int numerator, int denominator) {
    return sums_.size() < 2 ? 0 : std::sqrt(InfluenceVariance(sums_, totals, {{{numerator, denominator}}}));
  };
  const auto rows = static_cast<double>(rows_);
  log.mean_weight = totals[EstimateColumns::kWeight] / rows;
  log.mean_weight_error = error(EstimateColumns::kWeight, EstimateColumns::kRows);
  log.unsupported_mass = std::max(0.0, 1 - log.mean_weight);
  log.lowest_propensity = ranges_.lowest_propensity();
  log.highest_propensity = ranges_.highest_propensity();
  log.mean_reward = totals[EstimateColumns::kReward] / rows;
  const double weight = totals[EstimateColumns::kWeight];
  if (options_.has_reward_model && options_.propensity == Propensity::kMarginal && weight > 0) {
    log.calibration = {log.mean_reward - totals[EstimateColumns::kResidual] / rows,
                       totals[EstimateColumns::kWeightedResidual] / weight,
                       error(EstimateColumns::kWeightedResidual, EstimateColumns::kWeight)};
  }
  return log;
}

// Rows of one list are not independent of each other: slate_independent counts lists.
double OffPolicyEvaluation::EffectiveSamples(const Estimator& estimator) const {
  const bool counts_rows = estimator.is_slate() && options_.propensity == Propensity::kMarginal;
  const double rows_a_decision = static_cast<double>(rows_) / static_cast<double>(decisions_);
  return weights_.effective_samples() / (counts_rows ? rows_a_decision : 1);
}

std::optional<Interval> OffPolicyEvaluation::IntervalOf(size_t estimator, IntervalKind kind, const Estimate& estimate,
                                                        const std::vector<double>& totals,
                                                        const Eigen::MatrixXd& resamples) const {
  if (!estimate.standard_error.has_value()) return std::nullopt;
  if (kind == IntervalKind::kBootstrap) {
    const auto [lo, hi] = PercentileInterval95(resamples, columns_.Ratios(estimator, ranges_.longest_list()));
    if (std::isnan(lo)) return std::nullopt;
    return Interval{lo, hi};
  }
  double half = kNormal975 * *estimate.standard_error;
  if (kind == IntervalKind::kBernstein) {
    const double range = ranges_.InfluenceRange(estimator, columns_, sums_, totals);
    half = *estimate.standard_error * std::sqrt(2 * kLogFourOverAlpha) +
           7 * range * kLogFourOverAlpha / (3 * static_cast<double>(sums_.size() - 1));
  }
  return Interval{estimate.value - half, estimate.value + half};
}

absl::StatusOr<EvaluationReport> OffPolicyEvaluation::Report(IntervalKind interval,
                                                             const BootstrapOptions& bootstrap) const {
  if (decisions_ == 0) return absl::InvalidArgumentError("expected a log with decisions, got an empty one");
  const std::vector<double> totals = sums_.Totals();
  EvaluationReport report;
  report.diagnostics = Diagnose(totals);
  Eigen::MatrixXd resamples;
  if (interval == IntervalKind::kBootstrap) resamples = BootstrapTotals(sums_, bootstrap);
  for (size_t i = 0; i < options_.estimators.size(); ++i) {
    const Estimator& estimator = options_.estimators[i];
    const std::vector<ColumnRatio> ratios = columns_.Ratios(i, ranges_.longest_list());
    Estimate estimate;
    estimate.estimator = estimator.text;
    estimate.value = SumOfRatios(totals, ratios);
    if (!std::isfinite(estimate.value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("estimator ", estimator.text,
                       ": expected rows that the target policy would choose, got only target probabilities of 0"));
    }
    if (sums_.size() > 1) estimate.standard_error = std::sqrt(InfluenceVariance(sums_, totals, ratios));
    estimate.interval = IntervalOf(i, interval, estimate, totals, resamples);
    estimate.effective_samples = EffectiveSamples(estimator);
    estimate.rows = rows_;
    estimate.warnings = WarningsFor(estimator, report.diagnostics, estimate.effective_samples);
    report.estimates.push_back(std::move(estimate));
  }
  return report;
}

}  // namespace offerd
