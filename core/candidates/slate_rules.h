#pragma once
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "core/candidates/catalogue.h"
#include "core/records.h"
#include "core/similarity/cart_scorer.h"
#include "core/similarity/list_table.h"
#include "core/slate/slate.h"

namespace offerd {

// What the rules of one slate look at. Candidates are 0 to n - 1, as in the draw.
struct SlateRulesInput {
  const SlateRules* rules = nullptr;
  const Catalogue* catalogue = nullptr;
  const ListTable* table = nullptr;                     // of cannibalisation; null: covered items alone
  absl::Span<const CatalogueOffer* const> offers;       // n; null: a candidate that the catalogue does not know
  absl::Span<const absl::string_view> ids;              // n
  absl::Span<const double> mean;                        // n: the scale of diversity is their spread
  int slots = 0;
  bool adjusts_scores = true;  // false where the score is a place in an order: caps and pins alone apply
};

// The rules of a placement inside the draw: before each slot they say what is allowed and by how much scores are lower, given
// the slots before it, so that the probabilities stay exact.
//   pins             the pinned offer, where it is a candidate, is the only one allowed in its slot, and in no other
//   caps             of a category or brand no more than so many in the slate; pinned offers count and are not held back
//   cannibalisation  score - c share |score|: the share of an offer's items that offers shown before cover. An item that the table
//                    says goes with covered ones counts with their summed score, divided by the largest
//   diversity        score - m / (1 - m) x spread x (likeness to the most alike shown offer): maximal marginal relevance, on the scale
//                    of the candidates' spread of scores. Likeness = .5 same category + .2 same brand + .3 Jaccard of the items
//
// Source   Carbonell, Goldstein, SIGIR 1998, "The Use of MMR" (diversity). Differs: divided by 1 - m and scaled by the spread.
// Threads  One per thread; reused, so that it allocates rarely.
class SlateRulesHook {
 public:
  void Start(const SlateRulesInput& input);

  // As DrawSlate asks.
  void Apply(absl::Span<const SlateSlot> slate, SlateChange& change);

  bool HasPin(int slot, int32_t candidate) const { return pin_of_[static_cast<size_t>(candidate)] == slot; }
  // Was somebody left out of a slot by a rule? Says why a slate is shorter.
  bool has_masked() const { return has_masked_; }

 private:
  bool IsCapped(const CatalogueOffer& offer, absl::Span<const SlateSlot> slate) const;
  void CoverItems(const CatalogueOffer& offer);
  double ShareCovered(const CatalogueOffer& offer) const;
  double Likeness(const CatalogueOffer& a, const CatalogueOffer& b) const;

  SlateRulesInput input_;
  double spread_ = 0;
  std::vector<int32_t> pin_of_;  // slot, -1: none
  std::vector<ItemIndex> covered_;  // ascending
  absl::flat_hash_map<ItemIndex, double> neighbours_;  // (0, 1]
  std::vector<CartLine> lines_;
  CartScorer scorer_;
  bool has_masked_ = false;
};

}  // namespace offerd
