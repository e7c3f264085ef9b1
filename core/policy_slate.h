#pragma once
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/candidates/slate_rules.h"
#include "core/learn/state.h"
#include "core/policy/linear_policy.h"
#include "core/records.h"
#include "core/slate/slate.h"

namespace offerd {

// What a policy makes of some candidates on a placement, as a slate to draw or to score: the one place that says how scores,
// explorer, fixed order and randomised share come together, for requests, for the guard and for evidence from the log.
//
// Shapes   n candidates; all spans have n elements and belong to the caller.
struct PolicyOnCandidates {
  const Placement* placement = nullptr;
  const Policy* policy = nullptr;       // null: popularity
  const LinearPolicy* model = nullptr;  // of a linear policy; null: it has no model
  const FloatRowMatrix* features = nullptr;  // n x d of the model's feature list
  absl::Span<const int32_t> tie_rank;
  absl::Span<const int32_t> fixed_rank;  // of the placement's fixed policy; of `policy` itself where that is a fixed one
  bool is_greedy = false;                // without the placement's explorer
};

struct PolicyScratch {
  std::vector<double> mean, upper_bound;
  FloatRowMatrix scores;  // of the bag
  RowMatrix solved;       // of the deviations
};

// scratch.mean is what the policy ranks by: the model's estimates, 0 of a random policy, and minus the place in the fixed order
// else. The input points into `policy` and `scratch`.
SlateInput MakePolicySlate(const PolicyOnCandidates& policy, int slots, PolicyScratch& scratch);

// The rules of a placement's slates, but for what they say of the candidates at hand.
SlateRulesInput RulesOnState(const State& state, const Placement& placement, absl::string_view market);

// Does the placement's randomised share give every place to the offer that the fixed order wants there?
bool ShareCoversFixedOrder(const Placement& placement);

}  // namespace offerd
