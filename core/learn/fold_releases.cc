#include <utility>

#include "core/learn/fold.h"

// The rest of fold.h: who answers a placement, how that came about, and whether it still should.
namespace offerd {
namespace {

bool IsWatched(const Placement& placement) { return placement.has_gate && placement.gate.guard; }

// Would the guard compare the same things before and after?
bool KeepsGuard(const Placement& before, const Placement& after) {
  const RandomShare &a = before.randomised_share, &b = after.randomised_share;
  return IsWatched(before) && IsWatched(after) && before.policy == after.policy && before.mode == after.mode &&
         before.fixed_policy == after.fixed_policy && a.share == b.share && a.kind == b.kind && a.reach == b.reach &&
         before.share_on_fixed_order == after.share_on_fixed_order && before.gate.slots == after.gate.slots;
}

// Would examination be estimated from the same rewards?
bool KeepsExamination(const Placement& before, const Placement& after) {
  return before.estimate_examination && after.estimate_examination && before.reward.PaysLike(after.reward);
}

}  // namespace

// A guard, and the sums that examination is estimated from, begin anew when what they compare becomes something else.
void Fold::SetPlacement(Placement placement, Sequence sequence) {
  const PlacementState* before = state_.FindPlacement(placement.name);
  const std::string name = placement.name;
  if (before == nullptr || !KeepsGuard(before->placement, placement)) state_.guards.Erase(name);
  if (before == nullptr || !KeepsExamination(before->placement, placement)) {
    state_.examinations.Erase(name);
    if (placement.estimate_examination) state_.examinations.Mutate(name) = ExaminationSums(sequence);
  }
  auto state = std::make_shared<PlacementState>();
  state->placement = std::move(placement);
  state->sequence = sequence;
  state_.placements.Mutate(name) = std::move(state);
  DeclareLargestRewards();
}

void Fold::FoldIn(const Released& released, const LogEntry& entry) {
  const PlacementState* before = state_.FindPlacement(released.placement);
  if (before == nullptr) return;
  const auto* kept = state_.releases.Find(released.placement);
  auto history = kept == nullptr ? std::make_shared<ReleaseHistory>() : std::make_shared<ReleaseHistory>(**kept);
  history->entries.push_back({entry.time, released.tested, released.changes_placement, before->placement.policy, before->placement.mode,
                              released.report});
  if (history->entries.size() > ReleaseHistory::kMaxKept) history->entries.erase(history->entries.begin());
  state_.releases.Mutate(released.placement) = std::move(history);
  if (!released.changes_placement) return;
  Placement placement = before->placement;
  placement.policy = released.policy;
  placement.mode = released.mode;
  SetPlacement(std::move(placement), entry.sequence);
}

// What the decision says of live against the fixed order.
void Fold::Guard(const OpenDecision& open) {
  const std::string& name = open.placement->placement.name;
  const PlacementState* now = state_.FindPlacement(name);
  if (now == nullptr || !KeepsGuard(open.placement->placement, now->placement)) return;
  const size_t slots = now->placement.gate.slots == 0 ? open.slots.size() : static_cast<size_t>(now->placement.gate.slots);
  std::vector<double> weights, rewards;
  double weight = 1;
  for (size_t i = 0; i < open.slots.size() && i < slots; ++i) {
    weights.push_back(weight *= open.slots[i].fixed_ratio);
    rewards.push_back(open.slots[i].earned);
  }
  state_.guards.Mutate(name).Add(weights, rewards);
}

}  // namespace offerd
