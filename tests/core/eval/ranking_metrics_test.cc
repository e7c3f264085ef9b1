#include "core/eval/ranking_metrics.h"

#include <cmath>
#include <set>
#include <vector>

#include "core/rng.h"
#include "gtest/gtest.h"

namespace offerd {
namespace {

using Items = std::vector<TableItem>;

TEST(RankingMetricsTest, OneRelevantItemAtRankThree) {
  const RankingScores scores = ScoreRanking(Items{9, 8, 7, 6}, Items{7}, 20, 1, 1);
  EXPECT_EQ(scores.hit, 1);
  EXPECT_DOUBLE_EQ(scores.reciprocal_rank, 1.0 / 3);
  EXPECT_DOUBLE_EQ(scores.precision, 1.0 / 20);
  EXPECT_DOUBLE_EQ(scores.recall, 1);
  EXPECT_DOUBLE_EQ(scores.ndcg, 0.5);  // 1 / log2(4)
  EXPECT_DOUBLE_EQ(scores.average_precision, 1.0 / 3);
}

TEST(RankingMetricsTest, SeveralRelevantItems) {
  // Hits at ranks 1, 3 and, beyond the cut, 5.
  const RankingScores scores = ScoreRanking(Items{2, 9, 4, 8, 6}, Items{2, 4, 6, 7}, 4, 4, 4);
  EXPECT_DOUBLE_EQ(scores.reciprocal_rank, 1);
  EXPECT_DOUBLE_EQ(scores.precision, 2.0 / 4);
  EXPECT_DOUBLE_EQ(scores.recall, 2.0 / 4);
  EXPECT_DOUBLE_EQ(scores.ndcg, (1 + 1 / 2.0) / (1 + 1 / std::log2(3.0) + 1 / 2.0 + 1 / std::log2(5.0)));
  EXPECT_DOUBLE_EQ(scores.average_precision, (1 + 2.0 / 3) / 4);
}

TEST(RankingMetricsTest, DenominatorsAreTheCallersChoice) {
  const Items list = {1, 2}, relevant = {1, 2, 3, 4};
  EXPECT_DOUBLE_EQ(ScoreRanking(list, relevant, 2, 2, 2).recall, 1);
  EXPECT_DOUBLE_EQ(ScoreRanking(list, relevant, 2, 4, 2).recall, 0.5);
  EXPECT_DOUBLE_EQ(ScoreRanking(list, relevant, 2, 4, 2).ndcg, 1);
  EXPECT_DOUBLE_EQ(ScoreRanking(list, relevant, 2, 4, 3).ndcg,
                   (1 + 1 / std::log2(3.0)) / (1 + 1 / std::log2(3.0) + 0.5));
}

TEST(RankingMetricsTest, AveragePrecisionDividesByTheCutWhereMoreAreRelevant) {
  EXPECT_DOUBLE_EQ(ScoreRanking(Items{1, 2}, Items{1, 2, 3}, 2, 3, 3).average_precision, 1);
}

TEST(RankingMetricsTest, NothingRelevantWithinTheCutIsZeroEverywhere) {
  for (const RankingScores& scores :
       {ScoreRanking(Items{1, 2, 3}, Items{3}, 2, 1, 1), ScoreRanking(Items{}, Items{3}, 2, 1, 1),
        ScoreRanking(Items{3}, Items{3}, 0, 1, 1)}) {
    EXPECT_EQ(scores.hit, 0);
    EXPECT_EQ(scores.reciprocal_rank, 0);
    EXPECT_EQ(scores.precision, 0);
    EXPECT_EQ(scores.recall, 0);
    EXPECT_EQ(scores.ndcg, 0);
    EXPECT_EQ(scores.average_precision, 0);
  }
}

TEST(RankingMetricsTest, AgreesWithTheDefinitions) {
  Rng rng(51);
  for (int round = 0; round < 300; ++round) {
    std::set<TableItem> relevant;
    for (uint64_t n = 1 + rng.NextBits() % 10; n > 0; --n) relevant.insert(static_cast<TableItem>(rng.NextBits() % 40));
    Items list;
    for (uint64_t n = rng.NextBits() % 30; n > 0; --n) {
      const TableItem item = static_cast<TableItem>(rng.NextBits() % 40);
      if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
    }
    const size_t k = 1 + rng.NextBits() % 25;
    double hits = 0, first = 0, gain = 0, ideal = 0, precisions = 0;
    for (size_t r = 0; r < list.size() && r < k; ++r) {
      if (relevant.count(list[r]) == 0) continue;
      ++hits;
      if (first == 0) first = static_cast<double>(r + 1);
      gain += std::log(2.0) / std::log(static_cast<double>(r + 2));
      precisions += hits / static_cast<double>(r + 1);
    }
    for (size_t r = 0; r < relevant.size(); ++r) ideal += std::log(2.0) / std::log(static_cast<double>(r + 2));
    const RankingScores scores =
        ScoreRanking(list, Items(relevant.begin(), relevant.end()), k, relevant.size(), relevant.size());
    EXPECT_EQ(scores.hit, hits > 0 ? 1 : 0);
    EXPECT_NEAR(scores.reciprocal_rank, first > 0 ? 1 / first : 0, 1e-14);
    EXPECT_NEAR(scores.precision, hits / static_cast<double>(k), 1e-14);
    EXPECT_NEAR(scores.recall, hits / static_cast<double>(relevant.size()), 1e-14);
    EXPECT_NEAR(scores.ndcg, gain / ideal, 1e-14);
    EXPECT_NEAR(scores.average_precision, precisions / static_cast<double>(std::min(k, relevant.size())), 1e-14);
  }
}

}  // namespace
}  // namespace offerd
