#pragma once
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "core/similarity/baskets.h"

namespace offerd {

// What one recommendation list is worth at a cut-off, where `relevant` items are equally good.
struct RankingScores {
  double hit = 0;                // 1: at least one of `relevant` is among the first k
  double reciprocal_rank = 0;    // 1 / rank of the first relevant item within k, else 0
  double precision = 0;          // hits / k
  double recall = 0;             // hits / recall_denominator
  double ndcg = 0;               // binary gains, log2 discount, over the ideal of `ideal_size` relevant items
  double average_precision = 0;  // sum of precision at each hit / min(k, relevant)
};

// Shapes  list: recommended items, best first, no repeats. relevant: distinct, not empty, sorted ascending.
//         recall_denominator and ideal_size say which of the usual definitions is meant (min(k, relevant), relevant).
RankingScores ScoreRanking(absl::Span<const TableItem> list, absl::Span<const TableItem> relevant, size_t k,
                           size_t recall_denominator, size_t ideal_size);

}  // namespace offerd
