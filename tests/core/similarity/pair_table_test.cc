#include "core/similarity/pair_table.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "core/rng.h"
#include "tests/support/reference/lists_golden.h"
#include "tests/support/reference/lists_reference.h"
#include "tests/support/status_matchers.h"
#include "tests/support/threads_for.h"

namespace offerd {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

constexpr PairMeasure kMeasures[] = {PairMeasure::kCount,   PairMeasure::kConfidence, PairMeasure::kCosine,
                                     PairMeasure::kJaccard, PairMeasure::kLift,       PairMeasure::kLogLikelihoodRatio};

PairTableOptions Measure(PairMeasure measure) {
  PairTableOptions options;
  options.measure = measure;
  return options;
}

Baskets MakeBaskets(size_t num_items, const std::vector<std::vector<TableItem>>& baskets) {
  Baskets out;
  out.num_items = num_items;
  for (const auto& basket : baskets) out.Add(basket);
  return out;
}

// Rows of a table that must build.
std::vector<ReferenceRow> Rows(const Baskets& baskets, const PairTableOptions& options,
                               PairTableStats* stats = nullptr) {
  auto table = BuildPairTable(baskets, options, InOrder, stats);
  EXPECT_OK(table);
  return table.ok() ? RowsOf(*table) : std::vector<ReferenceRow>();
}

TEST(ScorePairTest, EveryMeasureOfOneTable) {
  const PairCounts counts = {3, 4, 6, 20};
  EXPECT_EQ(ScorePair(Measure(PairMeasure::kCount), counts), 3);
  EXPECT_DOUBLE_EQ(ScorePair(Measure(PairMeasure::kConfidence), counts), 3.0 / 4);
  EXPECT_DOUBLE_EQ(ScorePair(Measure(PairMeasure::kCosine), counts), 3 / std::sqrt(24.0));
  EXPECT_DOUBLE_EQ(ScorePair(Measure(PairMeasure::kJaccard), counts), 3.0 / 7);
  EXPECT_DOUBLE_EQ(ScorePair(Measure(PairMeasure::kLift), counts), 20 * 3 / 24.0);
  // The table is 3 1 / 3 13 with margins 4 16 and 6 14.
  const double g = 2 * (3 * std::log(3 * 20 / 24.0) + std::log(20 / (4 * 14.0)) + 3 * std::log(3 * 20 / (6 * 16.0)) +
                        13 * std::log(13 * 20 / (14 * 16.0)));
  EXPECT_NEAR(ScorePair(Measure(PairMeasure::kLogLikelihoodRatio), counts), g, 1e-13);
}

TEST(ScorePairTest, ShrinkStandsInTheDenominatorOfCosineOnly) {
  PairTableOptions options = Measure(PairMeasure::kCosine);
  options.shrink = 2.5;
  EXPECT_DOUBLE_EQ(ScorePair(options, {3, 4, 9, 20}), 3 / 8.5);
  options.measure = PairMeasure::kJaccard;
  EXPECT_DOUBLE_EQ(ScorePair(options, {3, 4, 9, 20}), 3.0 / 10);
}

TEST(ScorePairTest, DampingDividesConfidenceByAPowerOfTheNeighboursCount) {
  PairTableOptions options = Measure(PairMeasure::kConfidence);
  options.damping = 0.5;
  EXPECT_DOUBLE_EQ(ScorePair(options, {3, 4, 9, 20}), 3.0 / (4 * 3));
  options.damping = 1;
  EXPECT_DOUBLE_EQ(ScorePair(options, {3, 4, 9, 20}), 3.0 / (4 * 9));
}

TEST(ScorePairTest, LogLikelihoodRatioIsZeroForIndependentItems) {
  EXPECT_EQ(ScorePair(Measure(PairMeasure::kLogLikelihoodRatio), {2, 4, 10, 20}), 0);
}

TEST(ScorePairTest, LogLikelihoodRatioOfTablesWithEmptyCells) {
  const PairTableOptions options = Measure(PairMeasure::kLogLikelihoodRatio);
  EXPECT_NEAR(ScorePair(options, {5, 5, 5, 10}), 20 * std::log(2.0), 1e-13);  // always together
  EXPECT_EQ(ScorePair(options, {10, 10, 10, 10}), 0);                         // in every basket
  EXPECT_EQ(ScorePair(options, {4, 4, 10, 10}), 0);                           // one of them in every basket
  EXPECT_GT(ScorePair(options, {1, 6, 5, 10}), 0);                            // no basket without both
}

TEST(ScorePairTest, LogLikelihoodRatioKeepsItsDigitsWhereItIsSmall) {
  // n 10^9, c_i c_j = 10^10, one basket more than independence: G = n (d / n)^2 / (p q (1 - p)(1 - q)) to first order.
  const double n = 1e9, c = 1e5, d = 1;
  const double p = c / n;
  const double expected = d * d / (n * p * p * (1 - p) * (1 - p));
  EXPECT_NEAR(ScorePair(Measure(PairMeasure::kLogLikelihoodRatio), {11, c, c, n}), expected, 0.05 * expected);
}

TEST(PairTableTest, RowsAreSortedByScoreThenNumber) {
  const Baskets baskets = MakeBaskets(4, {{0, 1}, {0, 1}, {0, 3}, {0, 2}});
  EXPECT_THAT(Rows(baskets, Measure(PairMeasure::kCount))[0], ElementsAre(Pair(1, 2), Pair(2, 1), Pair(3, 1)));
}

TEST(PairTableTest, AnItemCountsOnceInABasketAndNeverWithItself) {
  PairTableStats stats;
  const auto rows = Rows(MakeBaskets(2, {{0, 0, 1}, {1, 1, 1}}), Measure(PairMeasure::kJaccard), &stats);
  EXPECT_THAT(rows[0], ElementsAre(Pair(1, 0.5)));
  EXPECT_THAT(rows[1], ElementsAre(Pair(0, 0.5)));
  EXPECT_EQ(stats.entries, 3u);
  EXPECT_EQ(stats.pairs, 1u);
}

TEST(PairTableTest, BasketsOfOneItemCountInNAndEmptyOnesDoNot) {
  PairTableStats stats;
  const auto rows = Rows(MakeBaskets(2, {{0, 1}, {0}, {}, {1}, {}}), Measure(PairMeasure::kLift), &stats);
  EXPECT_THAT(rows[0], ElementsAre(Pair(1, 3.0f * 1 / 4)));
  EXPECT_EQ(stats.baskets, 3u);
}

TEST(PairTableTest, ScoresEqualTo12DigitsAreInOrderOfNumber) {
  Baskets baskets = MakeBaskets(3, {{0, 2}, {0, 2}, {0, 1}});
  baskets.weights = {0.1, 0.2, 0.3};  // 0.1 + 0.2 > 0.3 in the last bit
  const auto rows = Rows(baskets, Measure(PairMeasure::kCount));
  EXPECT_THAT(rows[0], ElementsAre(Pair(1, 0.3f), Pair(2, 0.3f)));
}

TEST(PairTableTest, WeightsCountInEverySum) {
  Baskets baskets = MakeBaskets(2, {{0, 1}, {0}, {1}});
  baskets.weights = {2, 0.5, 4};
  EXPECT_THAT(Rows(baskets, Measure(PairMeasure::kLift))[0],
              ElementsAre(Pair(1, static_cast<float>(6.5 * 2 / (2.5 * 6)))));
}

TEST(PairTableTest, MinSupportCountsBasketsWhateverTheyWeigh) {
  Baskets baskets = MakeBaskets(3, {{0, 1}, {0, 1}, {0, 2}});
  baskets.weights = {0.1, 0.1, 50};
  PairTableOptions options = Measure(PairMeasure::kCount);
  options.min_support = 2;
  PairTableStats stats;
  EXPECT_THAT(Rows(baskets, options, &stats)[0], ElementsAre(Pair(1, 0.2f)));
  EXPECT_EQ(stats.pairs, 2u);
}

TEST(PairTableTest, ItemsBelowMinItemSupportHaveNoRowAndAreNobodysNeighbour) {
  PairTableOptions options = Measure(PairMeasure::kLift);
  options.min_item_support = 2;
  const auto rows = Rows(MakeBaskets(3, {{0, 1, 2}, {0, 1}, {0}}), options);
  EXPECT_THAT(rows[0], ElementsAre(Pair(1, 1)));
  EXPECT_THAT(rows[1], ElementsAre(Pair(0, 1)));
  EXPECT_TRUE(rows[2].empty());
}

TEST(PairTableTest, BasketsWithMoreDistinctItemsThanAllowedAreLeftOutAndCounted) {
  PairTableOptions options = Measure(PairMeasure::kLift);
  options.max_basket_items = 2;
  PairTableStats stats;
  const auto rows = Rows(MakeBaskets(3, {{0, 1, 2}, {0, 1, 0, 1}, {2}}), options, &stats);
  EXPECT_THAT(rows[0], ElementsAre(Pair(1, 2)));  // n = 2
  EXPECT_TRUE(rows[2].empty());
  EXPECT_EQ(stats.baskets, 2u);
  EXPECT_EQ(stats.baskets_too_long, 1u);
}

TEST(PairTableTest, NothingToCountGivesEmptyRows) {
  EXPECT_TRUE(Rows(MakeBaskets(0, {}), {}).empty());
  EXPECT_EQ(Rows(MakeBaskets(3, {}), {}), std::vector<ReferenceRow>(3));
  EXPECT_EQ(Rows(MakeBaskets(3, {{}, {1}}), {}), std::vector<ReferenceRow>(3));
}

TEST(PairTableTest, AgreesWithCountingSets) {
  Rng rng(11);
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE(round);
    Baskets baskets = RandomBaskets(rng.NextBits() % 400, 1 + rng.NextBits() % 40, 9, rng);
    for (size_t b = 0; round % 3 == 0 && b < baskets.size(); ++b)
      baskets.weights.push_back(std::exp2(-rng.NextUniform()));
    PairTableOptions options = Measure(kMeasures[round % 6]);
    options.keep = round % 2 == 0 ? 5 : 100;
    options.min_support = static_cast<double>(rng.NextBits() % 4);
    options.min_item_support = static_cast<double>(rng.NextBits() % 12);
    options.shrink = static_cast<double>(rng.NextBits() % 3);
    options.damping = static_cast<double>(rng.NextBits() % 3) / 2;
    options.max_basket_items = round % 4 == 0 ? 6 : 0;
    PairTableStats stats, expected_stats;
    const auto rows = Rows(baskets, options, &stats);
    auto expected = ReferencePairTable(baskets, options, &expected_stats);
    RoundScores(expected);
    EXPECT_EQ(rows, expected);
    EXPECT_EQ(stats.baskets, expected_stats.baskets);
    EXPECT_EQ(stats.baskets_too_long, expected_stats.baskets_too_long);
    EXPECT_EQ(stats.entries, expected_stats.entries);
    EXPECT_EQ(stats.pairs, expected_stats.pairs);
  }
}

TEST(PairTableTest, SameBytesForAnyNumberOfThreadsAndOrderOfTasks) {
  Rng rng(12);
  Baskets baskets = RandomBaskets(5000, 60, 8, rng);
  for (bool is_weighted : {false, true}) {
    for (size_t b = 0; is_weighted && b < baskets.size(); ++b) baskets.weights.push_back(rng.NextUniform() + 0.01);
    auto one = BuildPairTable(baskets, {}, InOrder);
    ASSERT_OK(one);
    for (const auto& other : {BuildPairTable(baskets, {}, ThreadsFor(4)), BuildPairTable(baskets, {}, InReverse)}) {
      ASSERT_OK(other);
      EXPECT_EQ(other->offsets, one->offsets);
      EXPECT_EQ(other->neighbours, one->neighbours);
      EXPECT_EQ(other->scores, one->scores);
    }
  }
}

TEST(PairTableTest, RefusesOptionsOutOfRangeByName) {
  const auto refusal = [](auto change) {
    PairTableOptions options;
    change(options);
    return BuildPairTable(MakeBaskets(2, {{0, 1}}), options, InOrder).status();
  };
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(refusal([](auto& o) { o.keep = 0; }), StatusIs(kInvalid, "keep"));
  for (double bad : {-1.0, kNan}) {
    EXPECT_THAT(refusal([&](auto& o) { o.min_support = bad; }), StatusIs(kInvalid, "min_support"));
    EXPECT_THAT(refusal([&](auto& o) { o.min_item_support = bad; }), StatusIs(kInvalid, "min_item_support"));
    EXPECT_THAT(refusal([&](auto& o) { o.shrink = bad; }), StatusIs(kInvalid, "shrink"));
    EXPECT_THAT(refusal([&](auto& o) { o.damping = bad; }), StatusIs(kInvalid, "damping"));
  }
  EXPECT_THAT(refusal([](auto& o) { o.damping = 1.5; }), StatusIs(kInvalid, "damping"));
}

TEST(PairTableTest, RefusesBasketsThatAreNotWhatTheySay) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  const auto refusal = [](auto change) {
    Baskets baskets = MakeBaskets(3, {{0, 1}, {1, 2}});
    change(baskets);
    return BuildPairTable(baskets, {}, InOrder).status();
  };
  EXPECT_THAT(refusal([](Baskets& b) { b.items[3] = 3; }),
              StatusIs(kInvalid, "basket 1: item 3 is not below num_items 3"));
  EXPECT_THAT(refusal([](Baskets& b) { b.offsets.clear(); }), StatusIs(kInvalid, "offsets"));
  EXPECT_THAT(refusal([](Baskets& b) { b.offsets.back() = 3; }), StatusIs(kInvalid, "offsets"));
  EXPECT_THAT(refusal([](Baskets& b) { b.offsets.front() = 1; }), StatusIs(kInvalid, "offsets"));
  EXPECT_THAT(refusal([](Baskets& b) { b.offsets[1] = 9; }), StatusIs(kInvalid, "basket 0"));
  EXPECT_THAT(refusal([](Baskets& b) { b.offsets = {0, 3, 2, 4}; }), StatusIs(kInvalid, "basket 1"));
  EXPECT_THAT(refusal([](Baskets& b) { b.weights = {1}; }), StatusIs(kInvalid, "2 baskets, but 1 weights"));
  for (double bad : {0.0, -1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THAT(refusal([&](Baskets& b) {
                  b.weights = {1, bad};
                }),
                StatusIs(kInvalid, "basket 1: expected a positive weight"));
  }
}

// ---- goldens: scipy, see shared/data/goldens/similarity.py ----

struct GoldenList {
  std::vector<TableItem> neighbours;
  std::vector<double> scores;
};

PairMeasure MeasureNamed(const std::string& name) {
  if (name == "pairs") return PairMeasure::kCount;
  if (name == "cosine") return PairMeasure::kCosine;
  if (name == "jaccard") return PairMeasure::kJaccard;
  if (name == "lift") return PairMeasure::kLift;
  EXPECT_EQ(name, "llr");
  return PairMeasure::kLogLikelihoodRatio;
}

// Every list of the file, and every score from the file's own counts.
void ExpectGoldenLists(const LabelledBaskets& data, const std::string& file, double lift_support,
                       const PairTableStats& facts) {
  std::map<std::string, std::map<TableItem, GoldenList>> golden;
  const auto rows = ReadSharedRows(file, ',');
  for (size_t r = 1; r < rows.size(); ++r) {  // measure,item,item_count,rank,neighbour,neighbour_count,pair_count,score
    const auto& row = rows[r];
    GoldenList& list = golden[row[0]][data.number.at(row[1])];
    list.neighbours.push_back(data.number.at(row[4]));
    list.scores.push_back(GoldenDouble(row[7]));
    const PairCounts counts = {GoldenDouble(row[6]), GoldenDouble(row[2]), GoldenDouble(row[5]),
                               static_cast<double>(facts.baskets)};
    EXPECT_NEAR(ScorePair(Measure(MeasureNamed(row[0])), counts), list.scores.back(), 1e-10 * list.scores.back()) << r;
  }
  ASSERT_EQ(golden.size(), 5u);
  EXPECT_EQ(golden["pairs"].size(), 50u);
  for (auto& [name, lists] : golden) {
    PairTableOptions options = Measure(MeasureNamed(name));
    options.keep = 20;
    if (name == "lift") options.min_support = lift_support;
    PairTableStats stats;
    const auto table = Rows(data.baskets, options, &stats);
    EXPECT_EQ(stats.baskets, facts.baskets);
    EXPECT_EQ(stats.entries, facts.entries);
    EXPECT_EQ(stats.pairs, facts.pairs);
    for (const auto& [item, unused] : golden["pairs"]) {
      const GoldenList& list = lists[item];  // none where no pair has the support that lift asks for
      ASSERT_EQ(table[item].size(), list.neighbours.size()) << name << " " << data.items[item];
      for (size_t k = 0; k < list.neighbours.size(); ++k) {
        EXPECT_EQ(table[item][k].first, list.neighbours[k]) << name << " " << data.items[item] << " " << k;
        EXPECT_NEAR(table[item][k].second, list.scores[k], 6e-8 * list.scores[k]);  // as a float
      }
    }
  }
}

TEST(PairTableGoldenTest, Groceries) {
  SKIP_WITHOUT_SHARED_DATA("goldens/similarity/groceries_top20.csv.zst");
  const LabelledBaskets data = ReadGroceries();
  ASSERT_EQ(data.items.size(), 169u);
  ExpectGoldenLists(data, "goldens/similarity/groceries_top20.csv.zst", 5, {9835, 0, 43367, 9636});
}

TEST(PairTableGoldenTest, Serenade) {
  SKIP_WITHOUT_SHARED_DATA("goldens/similarity/serenade_top20.csv.zst");
  const LabelledBaskets data = ReadSerenadeTrain();
  ASSERT_EQ(data.items.size(), 18009u);
  ExpectGoldenLists(data, "goldens/similarity/serenade_top20.csv.zst", 3, {23753, 0, 80440, 121404});
}

}  // namespace
}  // namespace offerd
