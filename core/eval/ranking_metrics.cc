#include "core/eval/ranking_metrics.h"

#include <algorithm>
#include <cmath>

namespace offerd {
namespace {

double Discount(size_t rank) { return 1 / std::log2(static_cast<double>(rank) + 1); }

}  // namespace

RankingScores ScoreRanking(absl::Span<const TableItem> list, absl::Span<const TableItem> relevant, size_t k,
                           size_t recall_denominator, size_t ideal_size) {
  RankingScores scores;
  size_t hits = 0;
  const size_t read = std::min(k, list.size());
  for (size_t rank = 1; rank <= read; ++rank) {
    if (!std::binary_search(relevant.begin(), relevant.end(), list[rank - 1])) continue;
    if (++hits == 1) scores.reciprocal_rank = 1 / static_cast<double>(rank);
    scores.ndcg += Discount(rank);
    scores.average_precision += static_cast<double>(hits) / static_cast<double>(rank);
  }
  if (hits == 0) return scores;
  double ideal = 0;
  for (size_t rank = 1; rank <= ideal_size; ++rank) ideal += Discount(rank);
  scores.hit = 1;
  scores.precision = static_cast<double>(hits) / static_cast<double>(k);
  scores.recall = recall_denominator == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(recall_denominator);
  scores.ndcg = ideal == 0 ? 0 : scores.ndcg / ideal;
  scores.average_precision /= static_cast<double>(std::min(k, relevant.size()));
  return scores;
}

}  // namespace offerd
