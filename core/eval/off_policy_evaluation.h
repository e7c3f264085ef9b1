#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/eval/bootstrap.h"
#include "core/eval/cluster_sums.h"
#include "core/eval/estimate_columns.h"
#include "core/eval/evaluation_report.h"
#include "core/eval/logged_action.h"
#include "core/eval/term_ranges.h"
#include "core/eval/weight_summary.h"

namespace offerd {

enum class IntervalKind { kNormal, kBootstrap, kBernstein };

// Values a target policy from the log of another, in one pass over the decisions; estimator.h has the definitions.
//
// Intervals, 95 %, over clusters:
//   normal     value +- 1.96 standard errors, by the influence function (cluster_sums.h).
//   bootstrap  percentiles of 2,000 resamples of the clusters with a fixed seed (bootstrap.h).
//   bernstein  value +- sqrt(2 V log(4 / .05)) + 7 R log(4 / .05) / (3 (C - 1)): both sides of Maurer and Pontil, COLT
//              2009, "Empirical Bernstein Bounds and Sample Variance Penalization", theorem 4. V is the squared standard
//              error, C the clusters, R the range of a cluster's influence: the largest weight seen x the range of the
//              reward (as declared, or as seen) x the most rows of a cluster over their mean (term_ranges.h). The bound
//              holds for means whose range was known beforehand; for ratios it is that of the linearised estimate.
//
// Shapes   A row is one shown action; a decision is a list of them. Values of slate estimators are per decision, others
//          per row.
// Errors   Nothing has changed after a refused decision.
// Threads  Not safe.
// Cost     AddDecision O(rows x estimators); memory is bounded: that of ClusterSums and WeightSummary.
class OffPolicyEvaluation {
 public:
  struct Options {
    std::vector<Estimator> estimators;
    Propensity propensity = Propensity::kMarginal;
    bool has_reward_model = false;            // q_logged and q_target are set
    std::optional<RewardRange> reward_range;  // declared; rewards outside are refused
  };

  // InvalidArgument for no estimator, one that needs the other kind of propensities, or one that needs the reward model
  // where there is none.
  static absl::StatusOr<OffPolicyEvaluation> Create(Options options);

  // Rows of one decision in order of position, at least one. `cluster` tells customers apart, for all decisions or
  // none. InvalidArgument for a field out of range, and for slate estimators unless positions are 1..k.
  absl::Status AddDecision(absl::Span<const LoggedAction> actions, std::optional<uint64_t> cluster);

  // InvalidArgument for an empty log, and for an estimator that divides by weights that are all 0.
  absl::StatusOr<EvaluationReport> Report(IntervalKind interval, const BootstrapOptions& bootstrap = {}) const;

  int64_t decisions() const { return decisions_; }
  int64_t rows() const { return rows_; }

 private:
  explicit OffPolicyEvaluation(Options options);
  absl::Status CheckDecision(absl::Span<const LoggedAction> actions) const;
  LogDiagnostics Diagnose(const std::vector<double>& totals) const;
  double EffectiveSamples(const Estimator& estimator) const;
  std::optional<Interval> IntervalOf(size_t estimator, IntervalKind kind, const Estimate& estimate,
                                     const std::vector<double>& totals,
                                     const Eigen::MatrixXd& resamples) const;

  // Fixed after construction.
  Options options_;
  EstimateColumns columns_;
  bool has_slates_ = false;

  ClusterSums sums_;
  WeightSummary weights_;
  TermRanges ranges_;
  int64_t rows_ = 0;
  int64_t decisions_ = 0;
  std::vector<double> prefix_weights_;  // of the decision being added
};

}  // namespace offerd
