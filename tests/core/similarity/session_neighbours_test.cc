#include "core/similarity/session_neighbours.h"

#include <cmath>
#include <functional>
#include <set>

#include "core/eval/ranking_metrics.h"
#include "core/rng.h"
#include "tests/support/allocation_count.h"
#include "tests/support/reference/lists_golden.h"
#include "tests/support/reference/lists_reference.h"
#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Items = std::vector<TableItem>;

Baskets MakeSessions(size_t num_items, const std::vector<Items>& sessions) {
  Baskets out;
  out.num_items = num_items;
  for (const Items& session : sessions) out.Add(session);
  return out;
}

SessionIndexOptions RememberAll() {
  SessionIndexOptions options;
  options.length_quantile = 1;
  return options;
}

SessionIndex MakeIndex(const Baskets& sessions, const std::vector<int64_t>& last_click,
                       const SessionIndexOptions& options = RememberAll()) {
  auto index = SessionIndex::Build(sessions, last_click, options);
  EXPECT_OK(index);
  return *std::move(index);
}

std::vector<ScoredItem> Recommend(const SessionIndex& index, const Items& session,
                                  const SessionQueryOptions& options = {}) {
  SessionIndex::Scratch scratch;
  std::vector<ScoredItem> answer = {{77, 77}};
  index.Recommend(session, options, scratch, &answer);
  return answer;
}

Items ItemsOf(const std::vector<ScoredItem>& answer) {
  Items items;
  for (const ScoredItem& item : answer) items.push_back(item.item);
  return items;
}

SessionQueryOptions WithoutIdf() {
  SessionQueryOptions options;
  options.idf_weight = 0;
  return options;
}

TEST(SessionIndexTest, ScoresByHand) {
  // Window 0 1: item 1 counts 2 / 2, item 0 counts 1 / 2. Session A holds both: similarity 1.5, vote .9; B holds 1: 1,
  // vote .9; C holds 0: .5, vote .8.
  const SessionIndex index = MakeIndex(MakeSessions(5, {{0, 1, 2}, {1, 3}, {0, 4}}), {1, 2, 3});
  EXPECT_THAT(Recommend(index, {0, 1}, WithoutIdf()),
              ElementsAre(ScoredItem{0, (15 * 9 + 5 * 8) / 100.0}, ScoredItem{2, 1.35}, ScoredItem{3, 0.9},
                          ScoredItem{4, 0.4}));
}

TEST(SessionIndexTest, IdfIsTheLogOfPairsOverSessionsWithTheItem) {
  const SessionIndex index = MakeIndex(MakeSessions(3, {{0, 1, 1}, {0, 1}, {0, 2}}), {1, 2, 3});
  SessionQueryOptions options;
  options.idf_weight = 2;
  const auto answer = Recommend(index, {0}, options);
  ASSERT_THAT(ItemsOf(answer), ElementsAre(1, 2));
  EXPECT_NEAR(answer[0].score, 2 * 0.9 * 2 * std::log(6.0 / 2), 1e-12);
  EXPECT_NEAR(answer[1].score, 0.9 * 2 * std::log(6.0 / 1), 1e-12);
}

TEST(SessionIndexTest, TheCurrentItemIsLeftOutUnlessAskedFor) {
  const SessionIndex index = MakeIndex(MakeSessions(3, {{0, 1, 2}}), {1});
  EXPECT_THAT(ItemsOf(Recommend(index, {0, 1})), ElementsAre(0, 2));
  SessionQueryOptions options;
  options.keep_current = true;
  EXPECT_THAT(ItemsOf(Recommend(index, {0, 1}, options)), ElementsAre(0, 1, 2));
}

TEST(SessionIndexTest, OnlyTheLastClicksAreRead) {
  const SessionIndex index = MakeIndex(MakeSessions(4, {{0, 2}, {1, 3}}), {1, 2});
  SessionQueryOptions options;
  options.last_items = 1;
  EXPECT_THAT(ItemsOf(Recommend(index, {0, 1}, options)), ElementsAre(3));
  options.last_items = 0;
  EXPECT_THAT(Recommend(index, {0, 1}, options), IsEmpty());
}

TEST(SessionIndexTest, AnItemClickedTwiceCountsAtItsLastClick) {
  const SessionIndex index = MakeIndex(MakeSessions(4, {{0, 2}, {1, 3}}), {1, 2});
  SessionQueryOptions options = WithoutIdf();
  options.last_items = 3;
  // Window 0 1 0: item 0 at place 3 of 3, item 1 at place 2, two distinct items.
  EXPECT_THAT(Recommend(index, {0, 1, 0}, options),
              ElementsAre(ScoredItem{2, 3 * 9 / 20.0}, ScoredItem{1, 2 * 8 / 20.0}, ScoredItem{3, 2 * 8 / 20.0}));
}

TEST(SessionIndexTest, AMatchTenClicksBackHasNoVote) {
  const SessionIndex index = MakeIndex(MakeSessions(3, {{0, 1}}), {1});
  SessionQueryOptions options;
  options.last_items = 20;
  Items session = {0, 2, 2, 2, 2, 2, 2, 2, 2};
  EXPECT_THAT(ItemsOf(Recommend(index, session, options)), ElementsAre(0, 1));
  session.push_back(2);
  EXPECT_THAT(Recommend(index, session, options), IsEmpty());
}

TEST(SessionIndexTest, SessionsOfOneItemOnlyVoteForTheCurrentItem) {
  const SessionIndex index = MakeIndex(MakeSessions(2, {{0}, {0, 0}}), {1, 2});
  EXPECT_THAT(Recommend(index, {0}), IsEmpty());
}

TEST(SessionIndexTest, UnknownItemsAndEmptySessions) {
  const SessionIndex index = MakeIndex(MakeSessions(3, {{0, 1}}), {1});
  EXPECT_THAT(Recommend(index, {}), IsEmpty());
  EXPECT_THAT(Recommend(index, {3}), IsEmpty());
  EXPECT_THAT(Recommend(index, {2}), IsEmpty());  // known, in no session
  EXPECT_THAT(ItemsOf(Recommend(index, {0, 4000000000u})), ElementsAre(0, 1));
  SessionQueryOptions none;
  none.count = 0;
  EXPECT_THAT(Recommend(index, {0}, none), IsEmpty());
}

TEST(SessionIndexTest, EqualScoresAreInOrderOfNumber) {
  const SessionIndex index = MakeIndex(MakeSessions(4, {{0, 3}, {0, 1}, {0, 2}}), {1, 2, 3});
  EXPECT_THAT(ItemsOf(Recommend(index, {0})), ElementsAre(1, 2, 3));
}

TEST(SessionIndexTest, AnItemRemembersItsMostRecentSessions) {
  SessionIndexOptions options = RememberAll();
  options.sessions_per_item = 2;
  const SessionIndex index = MakeIndex(MakeSessions(4, {{0, 1}, {0, 2}, {0, 3}}), {30, 10, 20}, options);
  EXPECT_THAT(ItemsOf(Recommend(index, {0})), ElementsAre(1, 3));
}

TEST(SessionIndexTest, OfTheSessionsOfAllClicksTheMostRecentAreLookedAt) {
  SessionIndexOptions options = RememberAll();
  options.sessions_per_item = 2;
  // Item 1's only session is older than both of item 0's.
  const SessionIndex index = MakeIndex(MakeSessions(5, {{1, 4}, {0, 2}, {0, 3}}), {10, 20, 30}, options);
  EXPECT_THAT(ItemsOf(Recommend(index, {0, 1})), ElementsAre(0, 2, 3));
}

TEST(SessionIndexTest, AtEqualTimesTheLaterSessionIsMoreRecent) {
  SessionIndexOptions options = RememberAll();
  options.sessions_per_item = 1;
  const SessionIndex index = MakeIndex(MakeSessions(3, {{0, 1}, {0, 2}}), {5, 5}, options);
  EXPECT_THAT(ItemsOf(Recommend(index, {0})), ElementsAre(2));
}

TEST(SessionIndexTest, OfEquallySimilarSessionsTheMoreRecentVote) {
  SessionQueryOptions options;
  options.neighbours = 1;
  const SessionIndex index = MakeIndex(MakeSessions(4, {{0, 1}, {0, 2}, {0, 3}}), {10, 30, 20});
  EXPECT_THAT(ItemsOf(Recommend(index, {0}, options)), ElementsAre(2));
}

TEST(SessionIndexTest, LongSessionsAreLeftOutAndCounted) {
  SessionIndexOptions options;
  options.length_quantile = 0.75;
  const SessionIndex index =
      MakeIndex(MakeSessions(9, {{0, 1}, {0, 2}, {0, 0, 0, 3}, {0, 4, 5}}), {1, 2, 3, 4}, options);
  EXPECT_EQ(index.sessions_too_long(), 1u);
  EXPECT_EQ(index.num_sessions(), 3u);
  EXPECT_THAT(ItemsOf(Recommend(index, {0})), ElementsAre(1, 2, 3));
}

TEST(SessionIndexTest, SessionsThatNoItemRemembersTakeNoRoom) {
  SessionIndexOptions options = RememberAll();
  options.sessions_per_item = 1;
  const SessionIndex index = MakeIndex(MakeSessions(3, {{0, 1}, {0, 1}, {0, 2}}), {1, 2, 3}, options);
  EXPECT_EQ(index.num_sessions(), 2u);
  EXPECT_EQ(index.num_items(), 3u);
  EXPECT_GT(index.size_bytes(), 0u);
}

TEST(SessionIndexTest, NoSessionsAreAnIndexToo) {
  EXPECT_THAT(Recommend(MakeIndex(MakeSessions(3, {}), {}), {0}), IsEmpty());
  EXPECT_THAT(Recommend(MakeIndex(MakeSessions(0, {}), {}), {0}), IsEmpty());
  EXPECT_THAT(Recommend(MakeIndex(MakeSessions(3, {{}, {1, 2}}), {1, 2}, SessionIndexOptions()), {1}), SizeIs(1));
}

TEST(SessionIndexTest, RefusesWhatItCannotIndexByName) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  const Baskets sessions = MakeSessions(2, {{0, 1}, {1}});
  const auto refusal = [&](const Baskets& from, const std::vector<int64_t>& times, auto change) {
    SessionIndexOptions options;
    change(options);
    return SessionIndex::Build(from, times, options).status();
  };
  const auto nothing = [](auto&) {};
  EXPECT_THAT(refusal(sessions, {1, 2}, [](auto& o) { o.sessions_per_item = 0; }),
              StatusIs(kInvalid, "sessions_per_item"));
  for (double bad : {0.0, -1.0, 1.1, std::nan("")}) {
    EXPECT_THAT(refusal(sessions, {1, 2}, [&](auto& o) { o.length_quantile = bad; }),
                StatusIs(kInvalid, "length_quantile"));
  }
  EXPECT_THAT(refusal(sessions, {1}, nothing), StatusIs(kInvalid, "one time for each of 2 sessions, found 1"));
  EXPECT_THAT(refusal(MakeSessions(1, {{1}}), {1}, nothing), StatusIs(kInvalid, "basket 0: item 1"));
}

TEST(SessionIndexTest, AgreesWithLookingAtEverySession) {
  Rng rng(61);
  SessionIndex::Scratch scratch;
  std::vector<ScoredItem> answer;
  for (int round = 0; round < 100; ++round) {
    SCOPED_TRACE(round);
    const size_t num_items = 1 + rng.NextBits() % 60;
    const Baskets sessions = RandomBaskets(rng.NextBits() % 300, num_items, 12, rng);
    std::vector<int64_t> last_click(sessions.size());
    for (int64_t& time : last_click) time = static_cast<int64_t>(rng.NextBits() % 100);
    SessionIndexOptions options;
    options.sessions_per_item = 1 + rng.NextBits() % 60;
    options.length_quantile = round % 2 == 0 ? 1 : 0.9;
    const SessionIndex index = MakeIndex(sessions, last_click, options);
    for (int q = 0; q < 20; ++q) {
      SessionQueryOptions query;
      query.neighbours = 1 + rng.NextBits() % 50;
      query.last_items = 1 + rng.NextBits() % 12;
      query.idf_weight = static_cast<double>(rng.NextBits() % 3);
      query.keep_current = rng.NextBits() % 2 == 0;
      query.count = rng.NextBits() % 25;
      Items clicks(rng.NextBits() % 14);
      for (TableItem& click : clicks) click = static_cast<TableItem>(rng.NextBits() % (num_items + 2));
      index.Recommend(clicks, query, scratch, &answer);
      EXPECT_EQ(answer, ReferenceNextItems(sessions, last_click, options, query, clicks)) << q;
    }
  }
}

TEST(SessionIndexTest, AllocatesNothingAfterTheFirstQuery) {
  Rng rng(62);
  const Baskets sessions = RandomBaskets(5000, 200, 12, rng);
  const SessionIndex index = MakeIndex(sessions, std::vector<int64_t>(5000));
  SessionIndex::Scratch scratch;
  std::vector<ScoredItem> answer;
  answer.reserve(20);
  SessionQueryOptions options;
  options.last_items = 10;
  Items clicks(10);
  const auto query = [&] {
    for (TableItem& click : clicks) click = static_cast<TableItem>(rng.NextBits() % 200);
    index.Recommend(clicks, options, scratch, &answer);
  };
  clicks.assign({7});
  index.Recommend(clicks, options, scratch, &answer);
  clicks.resize(10);
  const size_t before = AllocationCount();
  for (int q = 0; q < 50; ++q) query();
  EXPECT_EQ(AllocationCount(), before);
}

// ---- published figures: see shared/data/README.md ----

struct Figures {
  size_t cases = 0;
  double hit_rate = 0, reciprocal_rank = 0, precision = 0, recall = 0;
};

// The next item after every click but the last; precision and recall over all clicks still to come, repeats counting.
Figures Evaluate(size_t m, size_t k, size_t last, const std::string& file) {
  const LabelledBaskets train = ReadSerenadeTrain();
  const Sessions test = ReadSerenade(file);
  SessionIndexOptions options;
  options.sessions_per_item = m;
  const SessionIndex index = MakeIndex(train.baskets, train.last_time, options);
  EXPECT_EQ(index.sessions_too_long(), 107u);
  SessionQueryOptions query;
  query.neighbours = k;
  query.last_items = last;
  std::map<std::string, TableItem> numbers = train.number;
  Figures sum;
  for (const auto& clicks : test.clicks) {
    Items session;
    for (const std::string& item : clicks) {
      session.push_back(numbers.emplace(item, static_cast<TableItem>(numbers.size())).first->second);
    }
    for (size_t p = 1; p < session.size(); ++p) {
      const Items list = ItemsOf(Recommend(index, Items(session.begin(), session.begin() + p), query));
      const RankingScores next = ScoreRanking(list, {session[p]}, 20, 1, 1);
      const std::set<TableItem> rest(session.begin() + p, session.end());
      const RankingScores all = ScoreRanking(list, Items(rest.begin(), rest.end()), 20, session.size() - p, 1);
      ++sum.cases;
      sum.hit_rate += next.hit;
      sum.reciprocal_rank += next.reciprocal_rank;
      sum.precision += all.precision;
      sum.recall += all.recall;
    }
  }
  for (double* figure : {&sum.hit_rate, &sum.reciprocal_rank, &sum.precision, &sum.recall}) {
    *figure /= static_cast<double>(sum.cases);
  }
  return sum;
}

TEST(SessionIndexGoldenTest, PublishedFiguresOfTheShippedParameters) {
  SKIP_WITHOUT_SHARED_DATA("serenade-toy/train.txt.zst");
  const Figures figures = Evaluate(500, 50, 2, "serenade-toy/test.txt");
  EXPECT_EQ(figures.cases, 931u);
  EXPECT_NEAR(figures.hit_rate, 0.6402, 0.003);
  EXPECT_NEAR(figures.reciprocal_rank, 0.3277, 0.003);
  EXPECT_NEAR(figures.precision, 0.0680, 0.003);
  EXPECT_NEAR(figures.recall, 0.4456, 0.003);
}

TEST(SessionIndexGoldenTest, FiguresOfTheTunedParameters) {
  SKIP_WITHOUT_SHARED_DATA("serenade-toy/train.txt.zst");
  const Figures test = Evaluate(1502, 288, 4, "serenade-toy/test.txt");
  EXPECT_NEAR(test.hit_rate, 0.6649, 0.003);
  EXPECT_NEAR(test.reciprocal_rank, 0.3393, 0.003);
  EXPECT_NEAR(Evaluate(1502, 288, 4, "serenade-toy/valid.txt").reciprocal_rank, 0.3164, 0.003);
}

}  // namespace
}  // namespace offerd
