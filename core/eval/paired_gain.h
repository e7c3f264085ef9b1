#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "core/eval/cluster_sums.h"
#include "core/eval/weight_summary.h"

namespace offerd {

// What a target policy would have earned more than the policies that made a log, decision by decision: mean of v_i - r_i.
//
// With w_l = target / logged probability of the offer in slot l, given the slots before it, and W_l = w_1 ... w_l:
//   ips    v_i = sum_l W_l r_l
//   snips  the same with each slot's weights divided by their mean over the decisions, those without the slot counting 1
// r_i is the sum of r_l. Where the target would do what was done, v_i = r_i, so that only what would change is noise.
//
// Source   estimator.h (slate_reward_interaction); Cochran, Sampling Techniques, 3rd ed., 6.3 and 9A.4 for the standard error.
// Threads  Not safe.
class PairedGain {
 public:
  struct Estimate {
    double gain = 0;
    double standard_error = 0;
    double candidate_reward = 0;  // a decision
    double live_reward = 0;
    double candidate_error = 0;   // standard errors of those two
    double live_error = 0;
    double effective_samples = 0;  // (sum W)^2 / sum W^2, W of whole slates
    // 1 in expectation, unless the log could not have shown part of what the target would: then less by that part.
    double mean_weight = 0;
    double mean_weight_error = 0;
    double lowest_reward = 0;  // of a slot, at most 0
    double unsupported() const { return mean_weight + 4 * mean_weight_error < 1 ? 1 - mean_weight : 0; }
    int64_t decisions = 0;
    int64_t clusters = 0;
  };

  // slots: the most that a decision has, 1 to 1000.
  explicit PairedGain(int slots, bool snips);

  // One decision: its weights W_l and rewards by slot, as many of each, at most `slots`. `cluster` tells customers apart; without it
  // the decision is one of its own.
  void Add(absl::Span<const double> weights, absl::Span<const double> rewards, std::optional<uint64_t> cluster);

  // Nothing with fewer than two clusters, or where a slot's weights are all 0 and snips divides by them.
  std::optional<Estimate> Get() const;

 private:
  std::vector<ColumnRatio> CandidateRatios() const;

  const int slots_;
  const bool snips_;
  ClusterSums sums_;
  WeightSummary weights_;
  int64_t decisions_ = 0;
  double lowest_reward_ = 0;
};

// What attempt k (from 1) of one placement and quarter may err with, one-sided: .05 x 6 / (pi^2 k^2), together .05 however often one
// tries.
double AlphaOfAttempt(int attempt);
// z with P(Z > z) = alpha for a standard normal Z; alpha in (0, 0.5].
double UpperNormalQuantile(double alpha);
// Year and quarter of a time as one number, UTC.
int64_t QuarterOf(int64_t micros);

}  // namespace offerd
