#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/learn/state.h"
#include "core/policy_slate.h"

namespace offerd {

// A decision as the log has it, with its matrix: enough to ask what any policy over the same features would have done.
struct RecordedChoice {
  std::string market;
  std::vector<absl::string_view> candidate_ids;  // n
  std::vector<int32_t> fixed_ranks;              // n, a permutation of 0..n-1
  FloatRowMatrix features;                       // n x d; zero columns: nothing was encoded
  uint64_t feature_fingerprint = 0;
  int slots = 0;                                 // the draw was for
  std::vector<int32_t> shown;                    // candidates, in order
};

// A policy to be asked. `model` goes with the feature list of this fingerprint.
struct RescoredPolicy {
  const Policy* policy = nullptr;       // null: popularity
  const LinearPolicy* model = nullptr;  // null: not linear
  uint64_t feature_fingerprint = 0;
  bool is_greedy = false;
};

// Works out the probabilities with which a policy would have shown what was shown, by the very code that draws
// (core/policy_slate.h). The placement's explorer, share and rules are those of `placement`. Rules and offers are those of `state`:
// an offer that has changed its category since counts with the new one. A fixed policy puts the offers that it names first, the rest in
// the order that was recorded.
//
// Threads  One per thread. `state` and `placement` outlive it.
class Rescorer {
 public:
  Rescorer(const State& state, const Placement& placement) : state_(state), placement_(placement) {}

  // Each slot's probability given the slots before it. FailedPrecondition where the policy's features are others than those recorded.
  absl::Status Probabilities(const RecordedChoice& choice, const RescoredPolicy& policy, std::vector<double>& probability);

  // Of every candidate in the first slot, as if the placement had no rules inside the draw. Errors as above.
  absl::Status FirstSlot(const RecordedChoice& choice, const RescoredPolicy& policy, std::vector<double>& probability);

 private:
  absl::StatusOr<SlateInput> Prepare(const RecordedChoice& choice, const RescoredPolicy& policy);
  void RankByFixedOrder(const RecordedChoice& choice, const Policy* policy);
  void StartRules(const RecordedChoice& choice, bool adjusts_scores);

  const State& state_;
  const Placement& placement_;
  SlateScratch slate_;
  PolicyScratch scores_;
  SlateRulesHook rules_;
  std::vector<int32_t> order_, tie_rank_, fixed_rank_;
  std::vector<const CatalogueOffer*> offers_;
  std::vector<double> explorer_probability_;
};

}  // namespace offerd
