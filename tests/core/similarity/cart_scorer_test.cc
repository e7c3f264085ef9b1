#include "core/similarity/cart_scorer.h"

#include "core/rng.h"
#include "tests/support/allocation_count.h"
#include "tests/support/reference/lists_reference.h"
#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

ItemTable MakeTable(const std::vector<ReferenceRow>& rows) {
  ItemTable table;
  for (const ReferenceRow& row : rows) {
    for (const auto& [item, score] : row) {
      table.neighbours.push_back(item);
      table.scores.push_back(static_cast<float>(score));
    }
    table.offsets.push_back(table.neighbours.size());
  }
  return table;
}

const ItemTable& SmallTable() {
  static const ItemTable table = MakeTable({{{1, 4}, {2, 2}, {3, 1}}, {{0, 4}, {3, 3}}, {{4, 2}}, {}, {{0, 1}}});
  return table;
}

std::vector<ScoredItem> TopOf(CartScorer& scorer, size_t count, const std::vector<uint64_t>& allowed = {}) {
  std::vector<ScoredItem> answer = {{77, 77}};
  scorer.Top(count, allowed, &answer);
  return answer;
}

TEST(CartScorerTest, AddsTheRowsOfTheLinesWithTheirWeights) {
  CartScorer scorer;
  scorer.Accumulate(SmallTable().view(), {{0, 1}, {1, 2}});
  EXPECT_THAT(scorer.touched(), ElementsAre(1, 2, 3, 0));
  EXPECT_EQ(scorer.score(3), 7);
  EXPECT_EQ(scorer.score(0), 8);
  EXPECT_EQ(scorer.score(4), 0);
  EXPECT_EQ(scorer.score(1000), 0);
}

TEST(CartScorerTest, TopLeavesOutTheCartsOwnLines) {
  CartScorer scorer;
  scorer.Accumulate(SmallTable().view(), {{0, 1}, {1, 2}, {0, 1}});
  EXPECT_THAT(TopOf(scorer, 10), ElementsAre(ScoredItem{3, 8}, ScoredItem{2, 4}));
  EXPECT_EQ(scorer.score(0), 8);  // still there
  EXPECT_EQ(scorer.score(1), 8);
  EXPECT_THAT(TopOf(scorer, 1), ElementsAre(ScoredItem{3, 8}));
}

TEST(CartScorerTest, TopLeavesOutItemsThatAreNotAllowed) {
  CartScorer scorer;
  scorer.Accumulate(SmallTable().view(), {{0, 1}});
  EXPECT_THAT(TopOf(scorer, 10, {0b01100}), ElementsAre(ScoredItem{2, 2}, ScoredItem{3, 1}));
  EXPECT_THAT(TopOf(scorer, 10, {0}), IsEmpty());
}

TEST(CartScorerTest, ItemsBeyondTheEndOfTheBitsAreNotAllowed) {
  std::vector<ReferenceRow> rows(100);
  rows[0] = {{99, 2}, {63, 1}};
  const ItemTable table = MakeTable(rows);
  CartScorer scorer;
  scorer.Accumulate(table.view(), {{0, 1}});
  EXPECT_THAT(TopOf(scorer, 10, {~uint64_t{0}}), ElementsAre(ScoredItem{63, 1}));
}

TEST(CartScorerTest, EqualScoresAreInOrderOfNumber) {
  const ItemTable table = MakeTable({{{3, 1}, {1, 1}, {2, 1}}, {}, {}, {}});
  CartScorer scorer;
  scorer.Accumulate(table.view(), {{0, 1}});
  EXPECT_THAT(TopOf(scorer, 2), ElementsAre(ScoredItem{1, 1}, ScoredItem{2, 1}));
}

TEST(CartScorerTest, NegativeScoresComeLast) {
  const ItemTable table = MakeTable({{{1, -2}, {2, -1}, {3, 0}}, {{3, 1e-30}}, {}, {}});
  CartScorer scorer;
  scorer.Accumulate(table.view(), {{0, 1}});
  EXPECT_THAT(TopOf(scorer, 9), ElementsAre(ScoredItem{3, 0}, ScoredItem{2, -1}, ScoredItem{1, -2}));
}

TEST(CartScorerTest, LinesTheTableDoesNotKnowAddNothing) {
  CartScorer scorer;
  scorer.Accumulate(SmallTable().view(), {{5, 1}, {4000000000u, 1}, {2, 1}});
  EXPECT_THAT(scorer.touched(), ElementsAre(4));
  EXPECT_THAT(TopOf(scorer, 9), ElementsAre(ScoredItem{4, 2}));
}

TEST(CartScorerTest, EveryCartStartsFromNothing) {
  CartScorer scorer;
  EXPECT_THAT(scorer.touched(), IsEmpty());
  scorer.Accumulate(SmallTable().view(), {{0, 1}});
  scorer.Accumulate(SmallTable().view(), {{2, 1}});
  EXPECT_THAT(scorer.touched(), ElementsAre(4));
  EXPECT_EQ(scorer.score(1), 0);
  scorer.Accumulate(SmallTable().view(), {});
  EXPECT_THAT(scorer.touched(), IsEmpty());
  EXPECT_THAT(TopOf(scorer, 9), IsEmpty());
  scorer.Accumulate(ItemTable().view(), {{0, 1}});
  EXPECT_THAT(TopOf(scorer, 9), IsEmpty());
}

ItemTable RandomTable(size_t num_items, size_t longest, Rng& rng) {
  std::vector<ReferenceRow> rows(num_items);
  for (ReferenceRow& row : rows) {
    std::map<TableItem, double> scores;
    for (uint64_t k = rng.NextBits() % (longest + 1); k > 0; --k) {
      scores[static_cast<TableItem>(rng.NextBits() % num_items)] = static_cast<double>(rng.NextBits() % 16) / 8;
    }
    row = SortedRow(scores, 0, 12);
  }
  return MakeTable(rows);
}

TEST(CartScorerTest, AgreesWithAMapOfSumsOverTablesOfManySizes) {
  Rng rng(41);
  CartScorer scorer;
  for (int round = 0; round < 200; ++round) {
    SCOPED_TRACE(round);
    const size_t num_items = 1 + rng.NextBits() % 300;
    const ItemTable table = RandomTable(num_items, 60, rng);
    std::vector<CartLine> cart(rng.NextBits() % 12);
    for (CartLine& line : cart) {
      line.item = static_cast<TableItem>(rng.NextBits() % (num_items + 3));
      line.weight = static_cast<float>(rng.NextBits() % 4) / 2;
    }
    std::vector<bool> is_allowed;
    std::vector<uint64_t> bits;
    if (round % 2 == 0) bits.resize((num_items + 63) / 64);
    for (size_t i = 0; round % 2 == 0 && i < num_items; ++i) {
      is_allowed.push_back(rng.NextUniform() < 0.7);
      bits[i / 64] |= uint64_t{is_allowed.back()} << (i % 64);
    }
    const size_t count = rng.NextBits() % 30;
    scorer.Accumulate(table.view(), cart);
    EXPECT_EQ(TopOf(scorer, count, bits), ReferenceCart(table.view(), cart, count, is_allowed));
  }
}

TEST(CartScorerTest, AllocatesNothingAfterTheFirstQuery) {
  Rng rng(42);
  const ItemTable table = RandomTable(2000, 100, rng);
  std::vector<CartLine> cart(10);
  for (CartLine& line : cart) line.item = static_cast<TableItem>(rng.NextBits() % 2000);
  CartScorer scorer;
  std::vector<ScoredItem> answer;
  const auto query = [&] {
    scorer.Accumulate(table.view(), cart);
    scorer.Top(20, {}, &answer);
  };
  query();
  for (CartLine& line : cart) line.item = static_cast<TableItem>(rng.NextBits() % 2000);
  const size_t before = AllocationCount();
  query();
  EXPECT_EQ(AllocationCount(), before);
}

}  // namespace
}  // namespace offerd
