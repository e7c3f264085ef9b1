#include "core/rescore.h"

#include <algorithm>
#include <numeric>

#include "core/status_macros.h"

namespace offerd {

absl::StatusOr<SlateInput> Rescorer::Prepare(const RecordedChoice& choice, const RescoredPolicy& policy) {
  if (policy.model != nullptr &&
      (policy.feature_fingerprint != choice.feature_fingerprint || choice.features.cols() != policy.model->dim())) {
    return absl::FailedPreconditionError("recorded with other features than the policy's");
  }
  const size_t n = choice.candidate_ids.size();
  order_.resize(n);
  std::iota(order_.begin(), order_.end(), 0);
  std::sort(order_.begin(), order_.end(), [&choice](int32_t a, int32_t b) {
    return choice.candidate_ids[static_cast<size_t>(a)] < choice.candidate_ids[static_cast<size_t>(b)];
  });
  tie_rank_.resize(n);
  for (size_t rank = 0; rank < n; ++rank) tie_rank_[static_cast<size_t>(order_[rank])] = static_cast<int32_t>(rank);
  PolicyOnCandidates on;
  on.placement = &placement_;
  on.policy = policy.policy;
  on.model = policy.model;
  on.is_greedy = policy.is_greedy;
  on.features = &choice.features;
  on.tie_rank = tie_rank_;
  RankByFixedOrder(choice, policy.policy);
  on.fixed_rank = fixed_rank_;
  return MakePolicySlate(on, choice.slots, scores_);
}

void Rescorer::RankByFixedOrder(const RecordedChoice& choice, const Policy* policy) {
  fixed_rank_ = choice.fixed_ranks;
  if (policy == nullptr || policy->kind != PolicyKind::kFixed || policy->order.empty()) return;
  const auto place = [&](int32_t i) -> int64_t {
    const size_t at = static_cast<size_t>(i);
    const auto named = std::find(policy->order.begin(), policy->order.end(), choice.candidate_ids[at]);
    const int64_t last = static_cast<int64_t>(policy->order.size());
    return named != policy->order.end() ? named - policy->order.begin() : last + choice.fixed_ranks[at];
  };
  std::sort(order_.begin(), order_.end(), [&place](int32_t a, int32_t b) { return place(a) < place(b); });
  for (size_t rank = 0; rank < order_.size(); ++rank) fixed_rank_[static_cast<size_t>(order_[rank])] = static_cast<int32_t>(rank);
}

absl::Status Rescorer::FirstSlot(const RecordedChoice& choice, const RescoredPolicy& policy, std::vector<double>& probability) {
  ASSIGN_OR_RETURN(const SlateInput input, Prepare(choice, policy));
  probability.resize(choice.candidate_ids.size());
  explorer_probability_.resize(probability.size());
  SlotDistribution(input, 0, {}, slate_, absl::MakeSpan(probability), absl::MakeSpan(explorer_probability_));
  return absl::OkStatus();
}

absl::Status Rescorer::Probabilities(const RecordedChoice& choice, const RescoredPolicy& policy, std::vector<double>& probability) {
  ASSIGN_OR_RETURN(const SlateInput input, Prepare(choice, policy));
  const bool has_rules = placement_.rules.AreInDraw();
  if (has_rules) StartRules(choice, policy.model != nullptr);
  const auto apply = [this, has_rules](absl::Span<const SlateSlot> slate, SlateChange& change) {
    if (has_rules) rules_.Apply(slate, change);
  };
  ScoreSlate(input, apply, choice.shown, slate_, probability);
  return absl::OkStatus();
}

void Rescorer::StartRules(const RecordedChoice& choice, bool adjusts_scores) {
  offers_.clear();
  for (const absl::string_view id : choice.candidate_ids) {
    const OfferIndex index = state_.catalogue.FindOffer(id);
    offers_.push_back(index == kNoOffer ? nullptr : &state_.catalogue.OfferAt(index));
  }
  SlateRulesInput input = RulesOnState(state_, placement_, choice.market);
  input.offers = offers_;
  input.ids = choice.candidate_ids;
  input.mean = scores_.mean;
  input.slots = choice.slots;
  input.adjusts_scores = adjusts_scores;
  rules_.Start(input);
}

}  // namespace offerd
