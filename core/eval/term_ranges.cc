#include "core/eval/term_ranges.h"

#include <algorithm>

namespace offerd {

void TermRanges::Range::Include(double value) {
  low = std::min(low, value);
  high = std::max(high, value);
}

double TermRanges::Range::width_with_zero() const { return std::max(high, 0.0) - std::min(low, 0.0); }

void TermRanges::DeclareRewards(const RewardRange& rewards) {
  reward_ = {rewards.lowest, rewards.highest};
  rewards_are_declared_ = true;
}

void TermRanges::Add(absl::Span<const LoggedAction> actions, absl::Span<const double> prefix_weights) {
  for (const LoggedAction& action : actions) {
    propensity_.Include(action.propensity);
    if (!rewards_are_declared_) reward_.Include(action.reward);
    q_logged_.Include(action.q_logged);
    q_target_.Include(action.q_target);
    largest_weight_ = std::max(largest_weight_, action.weight());
  }
  for (const double weight : prefix_weights) largest_prefix_weight_ = std::max(largest_prefix_weight_, weight);
  longest_list_ = std::max(longest_list_, static_cast<int>(actions.size()));
}

TermRanges::Range TermRanges::Residual() const { return {reward_.low - q_logged_.high, reward_.high - q_logged_.low}; }

// Of one row's term, or one decision's for slates. A ratio of weights is linearised, w (r - value), so 0 need not be in
// the range of r - value: value is in the range of r.
double TermRanges::NumeratorRange(const Estimator& estimator) const {
  const double weight = estimator.LargestShrunkWeight(largest_weight_);
  switch (estimator.kind) {
    case EstimatorKind::kDm:
      return q_target_.width();
    case EstimatorKind::kIps:
    case EstimatorKind::kIpsClipped:
    case EstimatorKind::kIpsSubgaussian:
      return weight * reward_.width_with_zero();
    case EstimatorKind::kSnips:
      return weight * reward_.width();
    case EstimatorKind::kReplay:
      return reward_.width();
    case EstimatorKind::kDr:
    case EstimatorKind::kDrClipped:
    case EstimatorKind::kSwitchDr:
    case EstimatorKind::kDrOs:
      return q_target_.width() + weight * Residual().width_with_zero();
    case EstimatorKind::kSlateIndependent:
      return longest_list_ * weight * reward_.width_with_zero();
    case EstimatorKind::kSlateStandard:
    case EstimatorKind::kSlateRewardInteraction:
      return longest_list_ * largest_prefix_weight_ * reward_.width_with_zero();
    case EstimatorKind::kCascadeDr:
      return longest_list_ * (largest_prefix_weight_ * Residual().width_with_zero() +
                              std::max(1.0, largest_prefix_weight_) * q_target_.width_with_zero());
    case EstimatorKind::kSelfNormalizedSlateIndependent:
      return weight * reward_.width();
    case EstimatorKind::kSelfNormalizedSlateStandard:
    case EstimatorKind::kSelfNormalizedSlateRewardInteraction:
      return largest_prefix_weight_ * reward_.width();
    case EstimatorKind::kSndr:
      break;  // two terms with different denominators
  }
  return 0;
}

double TermRanges::InfluenceRange(size_t estimator, const EstimateColumns& columns, const ClusterSums& sums,
                                  absl::Span<const double> totals) const {
  const Estimator& kind = columns.estimators()[estimator];
  const auto unit = static_cast<size_t>(kind.is_slate() ? EstimateColumns::kDecisions : EstimateColumns::kRows);
  double most = 0;
  for (size_t cluster = 0; cluster < sums.size(); ++cluster) most = std::max(most, sums[cluster][unit]);
  double range = 0;
  if (kind.kind == EstimatorKind::kSndr) {
    range = q_target_.width() / totals[EstimateColumns::kRows] +
            largest_weight_ * Residual().width() / totals[EstimateColumns::kWeight];
  } else {
    for (const ColumnRatio& ratio : columns.Ratios(estimator, longest_list_)) {
      range += NumeratorRange(kind) / totals[static_cast<size_t>(ratio.denominator)];
    }
  }
  return most * static_cast<double>(sums.size()) * range;
}

}  // namespace offerd
