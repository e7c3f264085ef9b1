#pragma once
#include <limits>
#include <vector>

#include "absl/types/span.h"
#include "core/eval/cluster_sums.h"
#include "core/eval/estimate_columns.h"
#include "core/eval/estimator.h"
#include "core/eval/logged_action.h"

namespace offerd {

// How far the terms of an estimate can lie apart, for bounds that need it: from the largest weights seen and the ranges
// of rewards and modelled rewards, whatever met whatever in one row.
class TermRanges {
 public:
  void Add(absl::Span<const LoggedAction> actions, absl::Span<const double> prefix_weights);
  void DeclareRewards(const RewardRange& rewards);  // in place of those seen

  // The range of one cluster's influence on an estimate, in units of the estimate x clusters: at most the most rows (or
  // decisions) of a cluster x the range of a row's (or decision's) term, over the denominator. Denominators are not 0.
  double InfluenceRange(size_t estimator, const EstimateColumns& columns, const ClusterSums& sums,
                        absl::Span<const double> totals) const;

  int longest_list() const { return longest_list_; }
  double lowest_propensity() const { return propensity_.low; }
  double highest_propensity() const { return propensity_.high; }

 private:
  struct Range {
    double low = std::numeric_limits<double>::infinity();
    double high = -std::numeric_limits<double>::infinity();
    void Include(double value);
    double width() const { return high - low; }
    double width_with_zero() const;
  };
  Range Residual() const;
  double NumeratorRange(const Estimator& estimator) const;

  Range propensity_, reward_, q_logged_, q_target_;
  bool rewards_are_declared_ = false;
  double largest_weight_ = 0;         // of a row
  double largest_prefix_weight_ = 0;  // of the top of a list
  int longest_list_ = 0;
};

}  // namespace offerd
