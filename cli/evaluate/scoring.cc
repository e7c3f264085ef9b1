#include "cli/evaluate/scoring.h"

#include <algorithm>
#include <cmath>

#include "core/eval/ranking_metrics.h"

namespace offerd::evaluate {
namespace {

// session-rec discounts by log2(rank) and the first rank not at all; so does Serenade.
double SessionRecDiscount(size_t rank) { return rank == 1 ? 1 : 1 / std::log2(static_cast<double>(rank)); }

// NDCG and MAP at k as session-rec computes them; its MAP leaves rank k out and takes every precision at k, not at the hit.
void ScoreAsSessionRec(absl::Span<const TableItem> list, const std::vector<TableItem>& relevant, size_t num_remaining, size_t k,
                       CaseScores* scores) {
  double gain = 0, ideal = 0, average = 0;
  size_t hits = 0;
  for (size_t rank = 1; rank <= std::min(k, list.size()); ++rank) {
    if (!std::binary_search(relevant.begin(), relevant.end(), list[rank - 1])) continue;
    ++hits;
    gain += SessionRecDiscount(rank);
    if (rank < k) average += static_cast<double>(hits) / static_cast<double>(k) / static_cast<double>(num_remaining);
  }
  for (size_t rank = 1; rank <= std::min(k, num_remaining); ++rank) ideal += SessionRecDiscount(rank);
  scores->values[kNdcg] = gain / ideal;
  scores->values[kMap] = average;
  scores->values[kPrecision] = static_cast<double>(hits) / static_cast<double>(k);
  scores->values[kRecall] = static_cast<double>(hits) / static_cast<double>(num_remaining);
}

}  // namespace

void ScoreNextClicks(absl::Span<const TableItem> list, absl::Span<const TableItem> remaining, absl::Span<const size_t> cutoffs,
                     std::vector<CaseScores>* scores) {
  std::vector<TableItem> relevant(remaining.begin(), remaining.end());
  std::sort(relevant.begin(), relevant.end());
  relevant.erase(std::unique(relevant.begin(), relevant.end()), relevant.end());
  const auto place = static_cast<size_t>(std::find(list.begin(), list.end(), remaining[0]) - list.begin());
  scores->assign(cutoffs.size(), CaseScores());
  for (size_t i = 0; i < cutoffs.size(); ++i) {
    CaseScores& at = (*scores)[i];
    if (place < std::min(cutoffs[i], list.size())) {
      at.values[kHitRate] = 1;
      at.values[kMrr] = 1 / static_cast<double>(place + 1);
    }
    ScoreAsSessionRec(list, relevant, remaining.size(), cutoffs[i], &at);
  }
}

void ScoreRelevant(absl::Span<const TableItem> list, absl::Span<const TableItem> relevant, Ideal ideal, absl::Span<const size_t> cutoffs,
                   std::vector<CaseScores>* scores) {
  std::vector<TableItem> sorted(relevant.begin(), relevant.end());
  std::sort(sorted.begin(), sorted.end());
  scores->assign(cutoffs.size(), CaseScores());
  for (size_t i = 0; i < cutoffs.size(); ++i) {
    const size_t most = ideal == Ideal::kWhole ? sorted.size() : std::min(cutoffs[i], sorted.size());
    const RankingScores ranking = ScoreRanking(list, sorted, cutoffs[i], most, most);
    double* const values = (*scores)[i].values;
    values[kHitRate] = ranking.hit;
    values[kMrr] = ranking.reciprocal_rank;
    values[kNdcg] = ranking.ndcg;
    values[kRecall] = ranking.recall;
    values[kPrecision] = ranking.precision;
    values[kMap] = ranking.average_precision;
  }
}

PopularityScale::PopularityScale(absl::Span<const uint32_t> item_counts) : item_counts_(item_counts) {
  for (const uint32_t count : item_counts) largest_ = std::max(largest_, static_cast<double>(count));
}

void PopularityScale::Score(absl::Span<const TableItem> list, absl::Span<const size_t> cutoffs, std::vector<CaseScores>* scores) const {
  for (size_t i = 0; i < cutoffs.size(); ++i) {
    const auto first = list.first(std::min(cutoffs[i], list.size()));
    double sum = 0;
    for (const TableItem item : first) sum += item_counts_[item] / largest_;
    (*scores)[i].values[kPopularity] = first.empty() ? 0 : sum / static_cast<double>(first.size());
  }
}

}  // namespace offerd::evaluate
