#include "core/policy_slate.h"

#include "core/lists/strategies.h"

namespace offerd {
namespace {

void ScoreByModel(const PolicyOnCandidates& policy, SlateInput& input, PolicyScratch& scratch) {
  const size_t n = policy.tie_rank.size();
  const LinearPolicy& model = *policy.model;
  model.Score(*policy.features, scratch.scores);
  scratch.mean.resize(n);
  for (size_t i = 0; i < n; ++i) scratch.mean[i] = static_cast<double>(scratch.scores(static_cast<Eigen::Index>(i), 0));
  if (policy.is_greedy) {
    input.explorer = {ExplorerKind::kGreedy, 0, 0, 0};
    return;
  }
  input.bag_scores = &scratch.scores;
  input.explorer = ResolveExplorer(policy.placement->explorer, {model.sigma(), model.weight(), model.dim(), static_cast<int>(n)});
  if (input.explorer.kind != ExplorerKind::kUpperBound) return;
  model.Deviations(*policy.features, scratch.solved, scratch.upper_bound);
  for (size_t i = 0; i < n; ++i) scratch.upper_bound[i] = scratch.mean[i] + policy.placement->explorer.strength * scratch.upper_bound[i];
  input.upper_bound = scratch.upper_bound;
}

}  // namespace

SlateInput MakePolicySlate(const PolicyOnCandidates& policy, int slots, PolicyScratch& scratch) {
  const Placement& placement = *policy.placement;
  const size_t n = policy.tie_rank.size();
  SlateInput input;
  input.num_candidates = static_cast<int>(n);
  input.tie_rank = policy.tie_rank;
  input.slots = slots;
  input.random = placement.randomised_share;
  if (policy.model != nullptr) {
    ScoreByModel(policy, input, scratch);
    if (placement.share_on_fixed_order) input.base_rank = policy.fixed_rank;
  } else if (policy.policy != nullptr && policy.policy->kind == PolicyKind::kRandom) {
    scratch.mean.assign(n, 0);
    input.explorer = {ExplorerKind::kEpsilonGreedy, 1.0, 0, 0};
    input.base_rank = policy.fixed_rank;
    const bool bounded = policy.policy->random_kind == RandomKind::kBounded;
    input.random = {bounded ? 1.0 : 0.0, policy.policy->random_kind, policy.policy->reach};
    input.forced_shuffle = bounded;
  } else {
    scratch.mean.resize(n);
    for (size_t i = 0; i < n; ++i) scratch.mean[i] = -static_cast<double>(policy.fixed_rank[i]);
    input.explorer = {ExplorerKind::kGreedy, 0, 0, 0};
    input.base_rank = policy.fixed_rank;
  }
  input.mean = scratch.mean;
  return input;
}

SlateRulesInput RulesOnState(const State& state, const Placement& placement, absl::string_view market) {
  SlateRulesInput input;
  input.rules = &placement.rules;
  input.catalogue = &state.catalogue;
  if (placement.rules.cannibalisation_table.empty()) return input;
  input.table = FindTable(state, placement.rules.cannibalisation_table, market);
  if (input.table != nullptr && input.table->has_sessions()) input.table = nullptr;
  return input;
}

bool ShareCoversFixedOrder(const Placement& placement) {
  const RandomShare& share = placement.randomised_share;
  return share.share > 0 && (share.kind == RandomKind::kUniform || placement.share_on_fixed_order);
}

}  // namespace offerd
