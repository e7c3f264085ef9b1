#pragma once
#include <vector>

#include "absl/types/span.h"
#include "cli/evaluate/metric_sums.h"
#include "core/similarity/baskets.h"

namespace offerd::evaluate {

// How lists are scored against what happened; docs/quality.md has the definitions. Each call fills one CaseScores for every
// cut-off of `cutoffs` but for popularity.
//
// Shapes  list: best first, no repeats. Other lists of items may hold numbers that training does not know: they are misses.

// sessions: hit_rate and mrr against the next click; the others against all remaining clicks, as session-rec and Serenade count
// them. remaining: in order of time, its first is the next click; not empty.
void ScoreNextClicks(absl::Span<const TableItem> list, absl::Span<const TableItem> remaining, absl::Span<const size_t> cutoffs,
                     std::vector<CaseScores>* scores);

// What recall and the ideal of NDCG are measured against: min(k, relevant), or all relevant items.
enum class Ideal { kWithinCutoff, kWhole };

// relevant: distinct, in any order, not empty.
void ScoreRelevant(absl::Span<const TableItem> list, absl::Span<const TableItem> relevant, Ideal ideal, absl::Span<const size_t> cutoffs,
                   std::vector<CaseScores>* scores);

// Popularity: mean over the first k items of their training count / the largest one; 0 for an empty list.
class PopularityScale {
 public:
  explicit PopularityScale(absl::Span<const uint32_t> item_counts);
  void Score(absl::Span<const TableItem> list, absl::Span<const size_t> cutoffs, std::vector<CaseScores>* scores) const;

 private:
  const absl::Span<const uint32_t> item_counts_;
  double largest_ = 1;
};

}  // namespace offerd::evaluate
