#include "core/eval/estimate_columns.h"

#include <utility>

#include "core/check.h"

namespace offerd {
namespace {

double RowTerm(const Estimator& estimator, const LoggedAction& action, double w) {
  switch (estimator.kind) {
    case EstimatorKind::kDm:
    case EstimatorKind::kSndr:
      return action.q_target;
    case EstimatorKind::kDr:
    case EstimatorKind::kDrClipped:
    case EstimatorKind::kSwitchDr:
    case EstimatorKind::kDrOs:
      return action.q_target + estimator.ShrinkWeight(w) * (action.reward - action.q_logged);
    case EstimatorKind::kReplay:
      return action.target_probability * action.reward;
    default:
      return estimator.ShrinkWeight(w) * action.reward;
  }
}

// A whole decision's term of an estimator with conditional probabilities.
double ListTerm(EstimatorKind kind, absl::Span<const LoggedAction> actions, absl::Span<const double> prefix_weights) {
  double term = 0;
  double above = 1;
  for (size_t l = 0; l < actions.size(); ++l) {
    const LoggedAction& action = actions[l];
    switch (kind) {
      case EstimatorKind::kSlateStandard:
        term += prefix_weights.back() * action.reward;
        break;
      case EstimatorKind::kSlateRewardInteraction:
        term += prefix_weights[l] * action.reward;
        break;
      default:
        DCHECK(kind == EstimatorKind::kCascadeDr);
        term += prefix_weights[l] * (action.reward - action.q_logged) + above * action.q_target;
        above = prefix_weights[l];
    }
  }
  return term;
}

}  // namespace

EstimateColumns::EstimateColumns(std::vector<Estimator> estimators) : estimators_(std::move(estimators)) {
  for (const Estimator& estimator : estimators_) {
    rank_.push_back(estimator.is_self_normalized_slate() ? num_self_normalized_++ : 0);
  }
}

int EstimateColumns::Width(int positions) const {
  return kNumShared + static_cast<int>(estimators_.size()) + 2 * num_self_normalized_ * positions;
}

int EstimateColumns::PositionColumn(size_t estimator, int position) const {
  return Width(position - 1) + 2 * rank_[estimator];
}

void EstimateColumns::Add(absl::Span<const LoggedAction> actions, absl::Span<const double> prefix_weights,
                          double* sums) const {
  sums[kDecisions] += 1;
  for (const LoggedAction& action : actions) {
    const double w = action.weight();
    const double residual = action.reward - action.q_logged;
    sums[kRows] += 1;
    sums[kWeight] += w;
    sums[kReward] += action.reward;
    sums[kResidual] += residual;
    sums[kWeightedResidual] += w * residual;
    sums[kTarget] += action.target_probability;
    for (size_t i = 0; i < estimators_.size(); ++i) {
      const Estimator& estimator = estimators_[i];
      if (!estimator.is_slate() || estimator.kind == EstimatorKind::kSlateIndependent) {
        sums[kNumShared + i] += RowTerm(estimator, action, w);
      }
    }
  }
  for (size_t i = 0; i < estimators_.size(); ++i) {
    const Estimator& estimator = estimators_[i];
    if (estimator.is_self_normalized_slate()) {
      AddSelfNormalized(i, actions, prefix_weights, sums);
    } else if (estimator.is_slate() && estimator.kind != EstimatorKind::kSlateIndependent) {
      sums[kNumShared + i] += ListTerm(estimator.kind, actions, prefix_weights);
    }
  }
}

void EstimateColumns::AddSelfNormalized(size_t estimator, absl::Span<const LoggedAction> actions,
                                        absl::Span<const double> prefix_weights, double* sums) const {
  const EstimatorKind kind = estimators_[estimator].kind;
  for (size_t l = 0; l < actions.size(); ++l) {
    const double w = kind == EstimatorKind::kSelfNormalizedSlateIndependent ? actions[l].weight()
                     : kind == EstimatorKind::kSelfNormalizedSlateStandard  ? prefix_weights.back()
                                                                            : prefix_weights[l];
    double* columns = sums + PositionColumn(estimator, static_cast<int>(l) + 1);
    columns[0] += w * actions[l].reward;
    columns[1] += w;
  }
}

std::vector<ColumnRatio> EstimateColumns::Ratios(size_t estimator, int positions) const {
  const int own = kNumShared + static_cast<int>(estimator);
  switch (estimators_[estimator].kind) {
    case EstimatorKind::kSnips:
      return {{own, kWeight}};
    case EstimatorKind::kSndr:
      return {{own, kRows}, {kWeightedResidual, kWeight}};
    case EstimatorKind::kReplay:
      return {{own, kTarget}};
    default:
      break;
  }
  if (!estimators_[estimator].is_slate()) return {{own, kRows}};
  if (!estimators_[estimator].is_self_normalized_slate()) return {{own, kDecisions}};
  std::vector<ColumnRatio> ratios;
  for (int position = 1; position <= positions; ++position) {
    const int column = PositionColumn(estimator, position);
    ratios.push_back({column, column + 1});
  }
  return ratios;
}

}  // namespace offerd
