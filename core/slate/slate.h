#pragma once
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/rng.h"
#include "core/slate/bag_winners.h"
#include "core/slate/explorer.h"
#include "core/types.h"

namespace offerd {

enum class RandomKind : uint8_t {
  kUniform,  // over all open candidates
  kBounded,  // over those whose rank in a base order is within `reach` of the slot
};

// The randomised share of a placement, mixed in at every slot: p = (1 - share) p_explorer + share p_random.
struct RandomShare {
  double share = 0;
  RandomKind kind = RandomKind::kBounded;
  int reach = 3;  // m
};

absl::Status CheckRandomShare(const RandomShare& random);  // share in [0, 1], reach >= 0; InvalidArgument

// Candidates are 0 to n - 1, slots and ranks count from 0. The spans belong to the caller.
struct SlateInput {
  int num_candidates = 0;                      // n
  absl::Span<const double> mean;               // n
  absl::Span<const double> upper_bound;        // n or empty: what an upper-bound explorer ranks by
  const FloatRowMatrix* bag_scores = nullptr;  // n x (1 + M) as LinearPolicy::Score gives; only Thompson looks at it
  absl::Span<const int32_t> tie_rank;          // n: a permutation of 0..n-1, by offer id; ties go to the smaller one
  absl::Span<const int32_t> base_rank;         // n or empty: then all n by mean, descending, then tie_rank
  absl::Span<const uint8_t> allowed;           // n or empty (all); 0 = may not be shown
  int slots = 0;                               // wanted
  ExplorerSpec explorer;                       // resolved
  RandomShare random;
  // With a bounded share: no candidate moves more than m places back. When the smallest base rank of an open candidate
  // is slot - m or less, that candidate has probability 1, whatever explorer and share say.
  bool forced_shuffle = false;
};

struct SlateSlot {
  int32_t candidate = 0;
  double probability = 0;           // of this candidate, given the slots before it
  double explorer_probability = 0;  // the explorer's part alone; of a forced slot 1
  bool is_best = false;             // the best of the open ones by mean, as the rules left it
};

// Memory of DrawSlate and SlotDistribution, reused between calls. One per thread.
class SlateScratch {
 private:
  friend class SlateDraw;
  std::vector<int32_t> by_tie_;    // candidates in tie order
  std::vector<int32_t> own_base_;  // base rank, when the input has none
  std::vector<int32_t> order_;
  std::vector<double> mean_;         // NaN is minus infinity
  std::vector<double> upper_bound_;  // the same
  std::vector<uint8_t> is_placed_, mask_, is_open_;
  std::vector<int32_t> open_by_tie_;
  std::vector<double> probability_, explorer_probability_;
  std::vector<double> shrink_, lower_;
  std::vector<SlateSlot> scored_;
  FloatRowMatrix adjusted_bag_;
  BagWinners winners_;
};

// Draws a slate, slot by slot. A candidate is open while it is allowed and not placed. With no open candidate left, the
// slate is shorter. The bounded share with nobody within reach goes to the open candidates nearest to it. One uniform
// number is taken from the stream for every slot drawn, and candidates are laid out in index order.
//
// Threads  Safe with one scratch and one stream each.
// Errors   None: an input that breaks its description is a bug of ours and stops the process.
// Cost     O(slots n) and what the bag costs (BagWinners); no allocation once scratch and slate have the size.
void DrawSlate(const SlateInput& input, Rng& rng, SlateScratch& scratch, std::vector<SlateSlot>& slate);

// The same with rules that depend on what is placed already (diversity, caps): before each slot `mask` sees the slots
// so far and may change `allowed` (n), which starts as the input says and keeps what the rule wrote.
using SlateMask = absl::FunctionRef<void(absl::Span<const SlateSlot> slate, absl::Span<uint8_t> allowed)>;
void DrawSlate(const SlateInput& input, SlateMask mask, Rng& rng, SlateScratch& scratch, std::vector<SlateSlot>& slate);

// Rules that also lower scores: s becomes s - shrink |s| - lower, for the mean, the upper bound and every bag member. What a rule wrote
// for one slot is there at the next. The base order of a bounded share, and the places of a bounded shuffle, are those of the
// scores as given.
struct SlateChange {
  absl::Span<uint8_t> allowed;   // n
  absl::Span<double> shrink;     // n, [0, 1]
  absl::Span<double> lower;      // n, at least 0
  bool scores_changed = false;   // set it when shrink or lower did
};
using SlateRule = absl::FunctionRef<void(absl::Span<const SlateSlot> slate, SlateChange& change)>;
void DrawSlateWithRules(const SlateInput& input, SlateRule rule, Rng& rng, SlateScratch& scratch, std::vector<SlateSlot>& slate);

// The probabilities with which DrawSlateWithRules would draw `shown` (candidates, in order), each given those before it; 0 from a
// candidate on that could not stand there. `shown` names each candidate at most once.
void ScoreSlate(const SlateInput& input, SlateRule rule, absl::Span<const int32_t> shown, SlateScratch& scratch,
                std::vector<double>& probability);

// The whole distribution of a slot when `placed` (n, or empty: nothing; not 0 = placed) went before. DrawSlate draws
// from exactly these numbers. Both results (n) sum to 1, or are all zero if no candidate is open.
void SlotDistribution(const SlateInput& input, int slot, absl::Span<const uint8_t> placed, SlateScratch& scratch,
                      absl::Span<double> probability, absl::Span<double> explorer_probability);

}  // namespace offerd
