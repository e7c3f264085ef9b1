#pragma once
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace offerd {

enum class Propensity { kMarginal, kConditional };

// What a target policy would have earned, from another policy's log. With w = target_probability / propensity of the shown
// action, r its reward, q and q_target the reward model's values; sums and means over the n rows of the log:
//
// dm               mean(q_target). Dudik, Langford, Li, ICML 2011, "Doubly Robust Policy Evaluation and Learning",
//                  section 2 (DM).
// ips              mean(w r). Horvitz and Thompson, JASA 1952; for bandits Dudik et al. 2011, section 2 (IPS).
// snips            sum(w r) / sum(w). Swaminathan and Joachims, NeurIPS 2015, "The Self-Normalized Estimator for
//                  Counterfactual Learning".
// ips_clipped      mean(min(w, max) r). Ionides, JCGS 2008, "Truncated Importance Sampling".
// ips_subgaussian  mean(w / (1 - lambda + lambda w) r). Metelli, Russo, Restelli, NeurIPS 2021, "Subgaussian and
//                  Differentiable Importance Sampling for Off-Policy Evaluation and Learning".
// dr               mean(q_target + w (r - q)). Dudik et al. 2011, section 2 (DR).
// sndr             mean(q_target) + sum(w (r - q)) / sum(w). Kallus and Uehara, NeurIPS 2019, "Intrinsically Efficient,
//                  Stable, and Bounded Off-Policy Evaluation for Reinforcement Learning"; at horizon 1.
// dr_clipped       dr with min(w, max).
// switch_dr        dr with w set to 0 where w > max. Wang, Agarwal, Dudik, ICML 2017, "Optimal and Adaptive Off-policy
//                  Evaluation in Contextual Bandits" (SWITCH, with DR below the threshold).
// dr_os            dr with lambda w / (w^2 + lambda). Su, Dimakopoulou, Krishnamurthy, Dudik, ICML 2020, "Doubly Robust
//                  Off-policy Evaluation with Shrinkage" (optimistic shrinkage).
// replay           sum(t r) / sum(t), t the target probability: the mean reward of the rows on which a deterministic
//                  target agrees with the log. Unbiased only if the log was made uniformly at random. Li, Chu, Langford,
//                  Wang, WSDM 2011, "Unbiased Offline Evaluation of Contextual-bandit-based News Article Recommendation
//                  Algorithms". Differs: a randomised target counts a row with the probability of agreeing instead of
//                  drawing whether it does.
//
// The slate estimators value whole lists: the mean over decisions of a sum over positions l. With w_l as above and
// W_l = w_1 ... w_l from conditional probabilities, k the last position:
//
// slate_standard            sum_l W_k r_l. The list as one action.
// slate_independent         sum_l w_l r_l with marginal probabilities: right if a position's reward depends on its own
//                           action alone. Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay, Wen, KDD 2018, "Offline
//                           Evaluation of Ranking Policies with Click Models" (item-position model).
// slate_reward_interaction  sum_l W_l r_l: right if a position's reward depends on what stands there and above. McInerney,
//                           Brost, Chandar, Mehrotra, Carterette, KDD 2020, "Counterfactual Evaluation of Slate
//                           Recommendations with Sequential Reward Interactions".
// cascade_dr                sum_l W_l (r_l - q_l) + W_(l-1) q_target_l, W_0 = 1; q is the modelled reward of position l and
//                           all below it. Kiyohara, Saito, Matsuhiro, Narita, Shimizu, Yamamoto, WSDM 2022, "Doubly
//                           Robust Off-Policy Evaluation for Ranking Policies under the Cascade Behavior Model".
// self_normalized_slate_standard, self_normalized_slate_independent, self_normalized_slate_reward_interaction
//                           each position's weights divided by their own mean over the decisions that have the position.
enum class EstimatorKind {
  kDm,
  kIps,
  kSnips,
  kIpsClipped,
  kIpsSubgaussian,
  kDr,
  kSndr,
  kDrClipped,
  kSwitchDr,
  kDrOs,
  kReplay,
  kSlateStandard,
  kSlateIndependent,
  kSlateRewardInteraction,
  kCascadeDr,
  kSelfNormalizedSlateStandard,
  kSelfNormalizedSlateIndependent,
  kSelfNormalizedSlateRewardInteraction,
};

struct Estimator {
  std::string text;  // as it was asked for, "ips_clipped:max=10"
  EstimatorKind kind = EstimatorKind::kIps;
  double parameter = 0;  // max or lambda, where the kind has one

  bool is_slate() const { return kind >= EstimatorKind::kSlateStandard; }
  bool is_self_normalized_slate() const { return kind >= EstimatorKind::kSelfNormalizedSlateStandard; }
  bool needs_q_target() const;
  bool needs_q_logged() const;
  // Its value is wrong where the reward model is, because some or all of the log's correction is left out.
  bool leans_on_reward_model() const;
  Propensity propensity() const;  // which one its log must have

  // The weight it puts on a row instead of w. Slates, snips, sndr and replay: w itself.
  double ShrinkWeight(double w) const;
  // The largest of those for w up to `largest`.
  double LargestShrunkWeight(double largest) const;
};

// NAME or NAME:key=value. InvalidArgument names what is unknown, missing or out of range: max above 0; lambda of
// ips_subgaussian from 0 to 1, of dr_os at least 0.
absl::StatusOr<Estimator> ParseEstimator(absl::string_view text);

const char* PropensityName(Propensity propensity);  // "marginal"

}  // namespace offerd
