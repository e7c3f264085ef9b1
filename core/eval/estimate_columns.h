#pragma once
#include <vector>

#include "absl/types/span.h"
#include "core/eval/cluster_sums.h"
#include "core/eval/estimator.h"
#include "core/eval/logged_action.h"

namespace offerd {

// Which columns of ClusterSums some estimators need, what a decision adds to them, and how an estimate is read off
// their totals. Every estimator of estimator.h is a sum of ratios of such totals, so one table gives all values and
// intervals.
class EstimateColumns {
 public:
  // Columns that every log has. Weights, residuals and target probabilities are those of single rows.
  enum Shared : int { kRows, kDecisions, kWeight, kReward, kResidual, kWeightedResidual, kTarget, kNumShared };

  explicit EstimateColumns(std::vector<Estimator> estimators);

  const std::vector<Estimator>& estimators() const { return estimators_; }
  // Self-normalised slates have two columns a position.
  int Width(int positions) const;

  // The decision's rows in order of position; sums has Width(positions of the longest decision) columns. For slate
  // estimators positions are 1..k, and prefix_weights are the products of weights down to each.
  void Add(absl::Span<const LoggedAction> actions, absl::Span<const double> prefix_weights, double* sums) const;

  std::vector<ColumnRatio> Ratios(size_t estimator, int positions) const;

 private:
  int PositionColumn(size_t estimator, int position) const;
  void AddSelfNormalized(size_t estimator, absl::Span<const LoggedAction> actions,
                         absl::Span<const double> prefix_weights, double* sums) const;

  std::vector<Estimator> estimators_;
  std::vector<int> rank_;  // among the self-normalised slate estimators
  int num_self_normalized_ = 0;
};

}  // namespace offerd
