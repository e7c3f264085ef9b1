#include "core/similarity/sequential_rules.h"

#include <cmath>

#include "core/rng.h"
#include "tests/support/reference/lists_reference.h"
#include "tests/support/status_matchers.h"
#include "tests/support/threads_for.h"

namespace offerd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

Baskets MakeSessions(size_t num_items, const std::vector<std::vector<TableItem>>& sessions) {
  Baskets out;
  out.num_items = num_items;
  for (const auto& session : sessions) out.Add(session);
  return out;
}

std::vector<ReferenceRow> Rows(const Baskets& sessions, const SequentialRulesOptions& options) {
  auto table = BuildSequentialRules(sessions, options, InOrder);
  EXPECT_OK(table);
  return table.ok() ? RowsOf(*table) : std::vector<ReferenceRow>();
}

SequentialRulesOptions InOrderOf(DistanceWeight weight) {
  SequentialRulesOptions options;
  options.weight = weight;
  return options;
}

TEST(SequentialRulesTest, TheEarlierItemPointsToTheLaterOneByDistance) {
  const Baskets sessions = MakeSessions(4, {{0, 1, 2, 3}});
  const auto row = [&](DistanceWeight weight) { return Rows(sessions, InOrderOf(weight))[0]; };
  const auto is = [](double value) { return testing::DoubleNear(value, 1e-7 * value); };
  EXPECT_THAT(row(DistanceWeight::kOne), ElementsAre(Pair(1, is(1)), Pair(2, is(1)), Pair(3, is(1))));
  EXPECT_THAT(row(DistanceWeight::kInverse), ElementsAre(Pair(1, is(1)), Pair(2, is(1.0 / 2)), Pair(3, is(1.0 / 3))));
  EXPECT_THAT(row(DistanceWeight::kLinear), ElementsAre(Pair(1, is(0.9)), Pair(2, is(0.8)), Pair(3, is(0.7))));
  EXPECT_THAT(row(DistanceWeight::kQuadratic), ElementsAre(Pair(1, is(1)), Pair(2, is(1.0 / 4)), Pair(3, is(1.0 / 9))));
  EXPECT_THAT(row(DistanceWeight::kLog), ElementsAre(Pair(1, is(1 / std::log10(2.7))), Pair(2, is(1 / std::log10(3.7))),
                                                     Pair(3, is(1 / std::log10(4.7)))));
  EXPECT_THAT(Rows(sessions, {})[3], IsEmpty());
}

TEST(SequentialRulesTest, RulesEndAfterSoManySteps) {
  SequentialRulesOptions options = InOrderOf(DistanceWeight::kOne);
  options.steps = 2;
  EXPECT_THAT(Rows(MakeSessions(4, {{0, 1, 2, 3}}), options)[0], ElementsAre(Pair(1, 1), Pair(2, 1)));
}

TEST(SequentialRulesTest, LinearWeightsEndBeforeDistanceTen) {
  SequentialRulesOptions options = InOrderOf(DistanceWeight::kLinear);
  options.steps = 100;
  options.keep = 0;
  const auto row = Rows(MakeSessions(13, {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}), options)[0];
  ASSERT_EQ(row.size(), 9u);
  EXPECT_EQ(row.back().first, 9u);
}

TEST(SequentialRulesTest, RepeatsAndTheItemItselfCount) {
  EXPECT_THAT(Rows(MakeSessions(2, {{0, 1, 0, 1}}), InOrderOf(DistanceWeight::kOne)),
              ElementsAre(ElementsAre(Pair(1, 3), Pair(0, 1)), ElementsAre(Pair(0, 1), Pair(1, 1))));
}

TEST(SequentialRulesTest, AssociationRulesCountEveryOrderedPairOfPositions) {
  SequentialRulesOptions options;
  options.in_order = false;
  options.steps = 1;                            // not looked at
  options.weight = DistanceWeight::kQuadratic;  // not looked at
  EXPECT_THAT(Rows(MakeSessions(3, {{0, 1, 2, 0}}), options),
              ElementsAre(ElementsAre(Pair(0, 2), Pair(1, 2), Pair(2, 2)), ElementsAre(Pair(0, 2), Pair(2, 1)),
                          ElementsAre(Pair(0, 2), Pair(1, 1))));
}

TEST(SequentialRulesTest, ASessionCountsWithItsWeight) {
  Baskets sessions = MakeSessions(3, {{0, 1}, {0, 2}});
  sessions.weights = {0.25, 3};
  EXPECT_THAT(Rows(sessions, {})[0], ElementsAre(Pair(2, 3), Pair(1, 0.25)));
}

TEST(SequentialRulesTest, KeepsTheBestAndAllWhenAskedForNone) {
  SequentialRulesOptions options;
  options.keep = 1;
  const Baskets sessions = MakeSessions(4, {{0, 3, 2, 1}});
  EXPECT_THAT(Rows(sessions, options)[0], ElementsAre(Pair(3, 1)));
  options.keep = 0;
  EXPECT_EQ(Rows(sessions, options)[0].size(), 3u);
}

TEST(SequentialRulesTest, EqualScoresAreInOrderOfNumber) {
  EXPECT_THAT(Rows(MakeSessions(3, {{0, 2}, {0, 1}}), {})[0], ElementsAre(Pair(1, 1), Pair(2, 1)));
}

TEST(SequentialRulesTest, NoSessionsGiveEmptyRows) {
  EXPECT_THAT(Rows(MakeSessions(2, {}), {}), ElementsAre(IsEmpty(), IsEmpty()));
  EXPECT_THAT(Rows(MakeSessions(2, {{}, {1}}), {}), ElementsAre(IsEmpty(), IsEmpty()));
  EXPECT_THAT(Rows(MakeSessions(0, {}), {}), IsEmpty());
}

TEST(SequentialRulesTest, AgreesWithAddingUpEveryPair) {
  Rng rng(21);
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE(round);
    Baskets sessions = RandomBaskets(rng.NextBits() % 200, 1 + rng.NextBits() % 30, 25, rng);
    for (size_t s = 0; round % 4 == 0 && s < sessions.size(); ++s) sessions.weights.push_back(1 + rng.NextUniform());
    SequentialRulesOptions options;
    options.weight = static_cast<DistanceWeight>(round % 5);
    options.in_order = round % 3 != 0;
    options.steps = 1 + rng.NextBits() % 15;
    options.keep = round % 2 == 0 ? 6 : 0;
    auto expected = ReferenceRules(sessions, options);
    RoundScores(expected);
    const auto found = Rows(sessions, options);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) {  // sums in another order may round to the next float
      ASSERT_EQ(found[i].size(), expected[i].size());
      for (size_t k = 0; k < found[i].size(); ++k) {
        EXPECT_EQ(found[i][k].first, expected[i][k].first) << i << " " << k;
        EXPECT_FLOAT_EQ(static_cast<float>(found[i][k].second), static_cast<float>(expected[i][k].second));
      }
    }
  }
}

TEST(SequentialRulesTest, SameBytesForAnyNumberOfThreadsAndOrderOfTasks) {
  Rng rng(22);
  const Baskets sessions = RandomBaskets(3000, 60, 12, rng);
  auto one = BuildSequentialRules(sessions, {}, InOrder);
  ASSERT_OK(one);
  for (const auto& other :
       {BuildSequentialRules(sessions, {}, ThreadsFor(4)), BuildSequentialRules(sessions, {}, InReverse)}) {
    ASSERT_OK(other);
    EXPECT_EQ(other->offsets, one->offsets);
    EXPECT_EQ(other->neighbours, one->neighbours);
    EXPECT_EQ(other->scores, one->scores);
  }
}

TEST(SequentialRulesTest, RefusesWhatItCannotCount) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  SequentialRulesOptions options;
  options.steps = 0;
  EXPECT_THAT(BuildSequentialRules(MakeSessions(2, {{0, 1}}), options, InOrder).status(), StatusIs(kInvalid, "steps"));
  EXPECT_THAT(BuildSequentialRules(MakeSessions(2, {{0, 2}}), {}, InOrder).status(), StatusIs(kInvalid, "item 2"));
}

}  // namespace
}  // namespace offerd
