#include "core/lists/list_answer.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "core/rng.h"
#include "tests/core/log_writer.h"

namespace offerd {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr TimeMicros kDay = kMicrosPerDay;

// A table that owns its bytes. Rows as {from, {{to, score}, ...}}, best first.
struct OwnedTable {
  using Rows = std::vector<std::pair<std::string, std::vector<std::pair<std::string, float>>>>;
  explicit OwnedTable(const std::vector<std::string>& names) : ids(names) {}

  static std::shared_ptr<const ListTable> Make(const std::string& name, const std::vector<std::string>& names, const Rows& rows) {
    auto owned = std::make_shared<OwnedTable>(names);
    for (const std::string& id : names) {
      for (const auto& [from, row] : rows) {
        if (from != id) continue;
        for (const auto& [to, score] : row) {
          owned->rows.neighbours.push_back(*owned->ids.view().Find(to));
          owned->rows.scores.push_back(score);
        }
      }
      owned->rows.offsets.push_back(owned->rows.neighbours.size());
    }
    return Finish(owned, name, "cosine");
  }
  static std::shared_ptr<const ListTable> MakeSessions(const std::string& name, const std::vector<std::string>& names,
                                                       const std::vector<std::vector<std::string>>& sessions) {
    auto owned = std::make_shared<OwnedTable>(names);
    Baskets baskets;
    baskets.num_items = names.size();
    std::vector<int64_t> times;
    for (const auto& session : sessions) {
      std::vector<TableItem> items;
      for (const std::string& id : session) items.push_back(*owned->ids.view().Find(id));
      baskets.Add(items);
      times.push_back(static_cast<int64_t>(times.size()));
    }
    owned->sessions = *SessionIndex::Build(baskets, times, {});
    return Finish(owned, name, "vmis");
  }

  ItemIds ids;
  ItemTable rows;
  std::optional<SessionIndex> sessions;

 private:
  static std::shared_ptr<const ListTable> Finish(const std::shared_ptr<OwnedTable>& owned, const std::string& name, const std::string& kind) {
    auto table = std::make_shared<ListTable>();
    table->name = name;
    table->version = 1;
    table->kind = kind;
    table->ids = owned->ids.view();
    if (kind != "vmis") table->rows = owned->rows.view();
    if (kind == "vmis") table->sessions = owned->sessions->view();
    table->bytes = owned;
    return table;
  }
};

// A shop of tea and biscuits with a placement "cart".
class ListAnswerTest : public ::testing::Test {
 protected:
  ListAnswerTest()
      : fold_([this](const TablePublished& published) {
          const auto found = tables_.find(published.name);
          return found == tables_.end() ? nullptr : found->second;
        }) {
    std::vector<Item> items = {MakeItem("green", "tea", "leaf"),      MakeItem("black", "tea", "leaf"), MakeItem("white", "tea", "bud"),
                               MakeItem("biscuit", "bakery", "oven"), MakeItem("cake", "bakery", "oven"), MakeItem("pot", "ware", "clay")};
    const int64_t prices[] = {3, 2, 9, 2, 5, 20};
    for (size_t i = 0; i < items.size(); ++i) {
      items[i].price_micros = prices[i] * 1'000'000;
      items[i].cost_micros = items[i].id.value() == "cake" ? 1'000'000 : items[i].price_micros;
    }
    Write(ItemsUpserted{items});
    lists_.strategies = {{StrategyKind::kNeighbours, "together", 1}};
    AddTable(OwnedTable::Make("together", Names(), {{"green", {{"pot", 4}, {"biscuit", 3}, {"black", 1}}},
                                                    {"black", {{"biscuit", 3}, {"cake", 2}, {"green", 1}}},
                                                    {"biscuit", {{"cake", 1}}}}));
  }

  static std::vector<std::string> Names() { return {"biscuit", "black", "cake", "green", "pot", "white"}; }

  void Write(Change change, TimeMicros time = kDayZero) {
    LogEntry entry;
    entry.sequence = fold_.state().sequence + 1;
    entry.time = time;
    entry.change = std::move(change);
    ASSERT_OK(fold_.Apply(entry));
  }
  void AddTable(std::shared_ptr<const ListTable> table) {
    tables_[table->name] = table;
    Write(TablePublished{table->name, table->version, table->checksum});
  }
  void Buy(const std::string& customer, const std::vector<std::string>& items, TimeMicros time, const std::string& market = "") {
    Event event = MakePurchase(customer, time, items, absl::StrCat("order", ++orders_));
    event.market = market;
    Write(event, std::max(time, fold_.state().now));
  }
  void View(const std::string& customer, const std::string& item, TimeMicros time, EventKind kind = EventKind::kView) {
    Event event = MakeEvent(kind, time);
    event.customer_id = CustomerId(customer);
    event.lines.push_back({item, 1, 0});
    Write(event, std::max(time, fold_.state().now));
  }

  ListAnswer Answer(ListCall call, std::vector<absl::string_view> items, absl::string_view customer = "", absl::string_view market = "",
                    TimeMicros now = kDayZero) {
    Placement placement = MakePlacement("cart", "");
    placement.slate_size = slate_size_;
    placement.lists = lists_;
    Write(PlacementSet{placement}, fold_.state().now);
    ListRequest request;
    request.call = call;
    request.placement = "cart";
    request.items = std::move(items);
    request.customer_id = customer;
    request.market = market;
    request.excluded = excluded_;
    request.consent = consent_;
    ListAnswer answer;
    EXPECT_OK(AnswerList(fold_.state(), request, now, scratch_, answer));
    return answer;
  }
  static std::vector<std::string> Ids(const ListAnswer& answer) {
    std::vector<std::string> ids;
    for (const ListEntry& entry : answer.entries) ids.push_back(entry.item_id);
    return ids;
  }

  std::map<std::string, std::shared_ptr<const ListTable>> tables_;
  Fold fold_;
  Lists lists_;
  int slate_size_ = 10;
  int orders_ = 0;
  std::vector<absl::string_view> excluded_;
  Consent consent_ = Consent::kUnspecified;
  ListScratch scratch_;
};

TEST_F(ListAnswerTest, CrossSellSumsTheRowsOfTheCartAndLeavesTheCartOut) {
  const ListAnswer answer = Answer(ListCall::kCrossSell, {"green", "black", "green"});
  EXPECT_THAT(Ids(answer), ElementsAre("biscuit", "pot", "cake"));
  EXPECT_DOUBLE_EQ(answer.entries[0].score, 1) << "of the best: 3 + 3";
  EXPECT_DOUBLE_EQ(answer.entries[1].score, 4.0 / 6);
  EXPECT_EQ(answer.entries[1].because_item_id, "green");
  EXPECT_EQ(answer.entries[2].because_item_id, "black");
  EXPECT_EQ(answer.entries[0].strategy, StrategyKind::kNeighbours);
  EXPECT_THAT(answer.notes, ElementsAre(ListNote::kFewerThanAsked));
  ASSERT_EQ(answer.tables.size(), 1u);
  EXPECT_EQ(answer.tables[0].name, "together");
}

TEST_F(ListAnswerTest, UnknownItemsAreNamedAndHarmNothing) {
  const ListAnswer answer = Answer(ListCall::kCrossSell, {"green", "never heard of"});
  EXPECT_THAT(answer.unknown_items, ElementsAre("never heard of"));
  EXPECT_THAT(answer.notes, Contains(ListNote::kUnknownItems));
  EXPECT_THAT(Ids(answer), ElementsAre("pot", "biscuit", "black"));
}

TEST_F(ListAnswerTest, OnlyWhatCanBeBoughtInTheMarketIsShown) {
  Item pot = MakeItem("pot", "ware", "clay");
  pot.unavailable_markets = {"nl"};
  Write(ItemsUpserted{{pot}});
  EXPECT_THAT(Ids(Answer(ListCall::kCrossSell, {"green"}, "", "nl")), ElementsAre("biscuit", "black"));
  EXPECT_THAT(Ids(Answer(ListCall::kCrossSell, {"green"}, "", "de")), ElementsAre("pot", "biscuit", "black"));
  Write(ItemDeleted{ItemId("biscuit")});
  EXPECT_THAT(Ids(Answer(ListCall::kCrossSell, {"green"}, "", "nl")), ElementsAre("black"));
}

TEST_F(ListAnswerTest, WhatIsExcludedIsNotShown) {
  excluded_ = {"pot"};
  EXPECT_THAT(Ids(Answer(ListCall::kSimilarItems, {"green"})), ElementsAre("biscuit", "black"));
}

TEST_F(ListAnswerTest, TheTableOfTheMarketIsReadWhereThereIsOne) {
  AddTable(OwnedTable::Make("together.nl", Names(), {{"green", {{"white", 1}}}}));
  AddTable(OwnedTable::Make("together.South_20Africa", Names(), {{"green", {{"cake", 1}}}}));
  EXPECT_THAT(Ids(Answer(ListCall::kSimilarItems, {"green"}, "", "South Africa")), ElementsAre("cake")) << "as offerctl build names it";
  EXPECT_THAT(Ids(Answer(ListCall::kSimilarItems, {"green"}, "", "nl")), ElementsAre("white"));
  EXPECT_THAT(Ids(Answer(ListCall::kSimilarItems, {"green"}, "", "de")), ElementsAre("pot", "biscuit", "black"));
}

TEST_F(ListAnswerTest, AMissingTableIsSaidAndTheOthersAnswer) {
  lists_.strategies = {{StrategyKind::kNeighbours, "nowhere", 1}, {StrategyKind::kNeighbours, "together", 1}};
  const ListAnswer answer = Answer(ListCall::kSimilarItems, {"biscuit"});
  EXPECT_THAT(answer.missing_tables, ElementsAre("nowhere"));
  EXPECT_THAT(answer.notes, Contains(ListNote::kTableMissing));
  EXPECT_THAT(Ids(answer), ElementsAre("cake"));
}

TEST_F(ListAnswerTest, WeightsBlendScoresOverTheirBest) {
  AddTable(OwnedTable::Make("other", Names(), {{"green", {{"white", 10}, {"biscuit", 5}}}}));
  lists_.strategies = {{StrategyKind::kNeighbours, "together", 1}, {StrategyKind::kNeighbours, "other", 3}};
  const ListAnswer answer = Answer(ListCall::kSimilarItems, {"green"});
  EXPECT_THAT(Ids(answer), ElementsAre("white", "biscuit", "pot", "black"));
  EXPECT_DOUBLE_EQ(answer.entries[1].score, 3.0 / 4 + 3 * 0.5);
}

TEST_F(ListAnswerTest, ReciprocalRanksBlendPlacesOnly) {
  AddTable(OwnedTable::Make("other", Names(), {{"green", {{"white", 10}, {"biscuit", 5}}}}));
  lists_.strategies = {{StrategyKind::kNeighbours, "together", 1}, {StrategyKind::kNeighbours, "other", 1}};
  lists_.by_reciprocal_rank = true;
  const ListAnswer answer = Answer(ListCall::kSimilarItems, {"green"});
  EXPECT_THAT(Ids(answer), ElementsAre("biscuit", "pot", "white", "black")) << "pot and white are equal: by id";
  EXPECT_DOUBLE_EQ(answer.entries[0].score, 2.0 / 62);
}

TEST_F(ListAnswerTest, FallbacksFillTheEmptyPlacesInTurnAndSaySo) {
  Buy("", {"white"}, kDayZero);
  Buy("", {"white", "cake"}, kDayZero);
  lists_.fallbacks = {{StrategyKind::kPopular, "", 1}, {StrategyKind::kNewArrivals, "", 1}};
  slate_size_ = 4;
  const ListAnswer answer = Answer(ListCall::kSimilarItems, {"biscuit"});
  EXPECT_THAT(Ids(answer), ElementsAre("cake", "white", "green", "black"));
  EXPECT_FALSE(answer.entries[0].is_fallback);
  EXPECT_TRUE(answer.entries[1].is_fallback);
  EXPECT_EQ(answer.entries[1].strategy, StrategyKind::kPopular);
  EXPECT_EQ(answer.entries[2].strategy, StrategyKind::kNewArrivals);
  EXPECT_THAT(answer.notes, ElementsAre(ListNote::kFallbackUsed));
}

TEST_F(ListAnswerTest, WhatWasBoughtIsLeftOutOfRecommendationsUnlessKept) {
  Buy("ann", {"green"}, kDayZero - kDay);
  lists_.strategies = {{StrategyKind::kHistory, "together", 1}, {StrategyKind::kPopular, "", 0.1}};
  EXPECT_THAT(Ids(Answer(ListCall::kRecommendItems, {}, "ann")), ElementsAre("pot", "biscuit", "black"));
  lists_.keep_bought = true;
  EXPECT_THAT(Ids(Answer(ListCall::kRecommendItems, {}, "ann")), ElementsAre("pot", "biscuit", "black", "green"));
}

TEST_F(ListAnswerTest, BuyAgainWaitsForTheCustomersOwnInterval) {
  for (const int day : {-30, -20, -10}) Buy("ann", {"black"}, kDayZero + day * kDay);
  for (const int day : {-11, -6, -1}) Buy("ann", {"green"}, kDayZero + day * kDay);
  lists_.strategies = {{StrategyKind::kBuyAgain, "", 1}};
  EXPECT_THAT(Ids(Answer(ListCall::kRecommendItems, {}, "ann")), ElementsAre("black", "green")) << "green was bought yesterday";
  EXPECT_THAT(Ids(Answer(ListCall::kRecommendItems, {}, "ann", "", kDayZero + 10 * kDay)), ElementsAre("green", "black"))
      << "both due, green fresher";
  EXPECT_THAT(Ids(Answer(ListCall::kRecommendItems, {}, "bob")), IsEmpty());
  EXPECT_THAT(Ids(Answer(ListCall::kCrossSell, {"pot"}, "ann")), ElementsAre("green", "black")) << "a cart is being filled now: all in full";
}

TEST_F(ListAnswerTest, CapsByCategoryAndBrandHold) {
  AddTable(OwnedTable::Make("all", Names(), {{"pot", {{"green", 6}, {"black", 5}, {"white", 4}, {"biscuit", 3}, {"cake", 2}}}}));
  lists_.strategies = {{StrategyKind::kNeighbours, "all", 1}};
  lists_.max_per_category = 2;
  EXPECT_THAT(Ids(Answer(ListCall::kSimilarItems, {"pot"})), ElementsAre("green", "black", "biscuit", "cake"));
  lists_.max_per_brand = 1;
  EXPECT_THAT(Ids(Answer(ListCall::kSimilarItems, {"pot"})), ElementsAre("green", "white", "biscuit"));
}

TEST_F(ListAnswerTest, DiversityPutsOtherKindsBetween) {
  AddTable(OwnedTable::Make("all", Names(), {{"pot", {{"green", 6}, {"black", 5.5}, {"white", 5}, {"biscuit", 4.5}}}}));
  lists_.strategies = {{StrategyKind::kNeighbours, "all", 1}};
  lists_.diversity = 0.5;
  // After green: black resembles it fully, white by half, biscuit not at all.
  EXPECT_THAT(Ids(Answer(ListCall::kSimilarItems, {"pot"})), ElementsAre("green", "biscuit", "white", "black"));
}

TEST_F(ListAnswerTest, MarginRaisesAndUpSellsAreMarked) {
  AddTable(OwnedTable::Make("all", Names(), {{"green", {{"pot", 5}, {"black", 4}, {"white", 3}, {"cake", 3}}}}));
  lists_.strategies = {{StrategyKind::kNeighbours, "all", 1}};
  lists_.margin_weight = 1;  // cake earns 80 %, the others nothing
  lists_.up_sell_weight = 0.9;
  const ListAnswer answer = Answer(ListCall::kCrossSell, {"green"});
  EXPECT_THAT(Ids(answer), ElementsAre("white", "cake", "pot", "black"));
  EXPECT_TRUE(answer.entries[0].is_up_sell) << "tea as green, and dearer";
  EXPECT_FALSE(answer.entries[1].is_up_sell);
  EXPECT_FALSE(answer.entries[3].is_up_sell) << "tea, but cheaper";
}

TEST_F(ListAnswerTest, RecentlyViewedIsNewestFirstAndOnceEach) {
  View("ann", "green", kDayZero - 3 * kDay);
  View("ann", "pot", kDayZero - 2 * kDay, EventKind::kWishlist);
  View("ann", "cake", kDayZero - kDay);
  View("ann", "green", kDayZero);
  lists_.strategies = {{StrategyKind::kRecentlyViewed, "", 1}};
  EXPECT_THAT(Ids(Answer(ListCall::kRecommendItems, {}, "ann")), ElementsAre("green", "cake", "pot"));
}

TEST_F(ListAnswerTest, ViewsAndWishesCountInTheHistoryByTheirWeights) {
  View("ann", "green", kDayZero, EventKind::kWishlist);  // .5 x 4 for the pot
  View("ann", "black", kDayZero);                        // .25 x 2 for the cake
  lists_.strategies = {{StrategyKind::kHistory, "together", 1}};
  const ListAnswer answer = Answer(ListCall::kRecommendItems, {}, "ann");
  EXPECT_THAT(Ids(answer), ElementsAre("biscuit", "pot", "black", "cake", "green")) << "what was looked at may be what is wanted";
  EXPECT_DOUBLE_EQ(answer.entries[3].score, 0.5 / 2.25);
  lists_.has_event_weights = true;
  lists_.event_weights[static_cast<size_t>(EventKind::kView)] = 1;
  EXPECT_THAT(Ids(Answer(ListCall::kRecommendItems, {}, "ann")), ElementsAre("biscuit", "cake", "green"))
      << "only views count; what was wished for may be shown";
}

TEST_F(ListAnswerTest, WithoutConsentNoHistoryIsRead) {
  Buy("ann", {"green"}, kDayZero - kDay);
  lists_.strategies = {{StrategyKind::kHistory, "together", 1}};
  lists_.fallbacks = {{StrategyKind::kPopular, "", 1}};
  consent_ = Consent::kDenied;
  const ListAnswer answer = Answer(ListCall::kRecommendItems, {}, "ann");
  EXPECT_THAT(answer.notes, Contains(ListNote::kConsentDenied));
  EXPECT_THAT(Ids(answer), ElementsAre("green"));
  EXPECT_TRUE(answer.entries[0].is_fallback);
}

TEST_F(ListAnswerTest, NextItemsComeFromTheRowsOfTheCurrentItem) {
  const ListAnswer answer = Answer(ListCall::kRecommendNext, {"black", "biscuit", "green"});
  EXPECT_THAT(Ids(answer), ElementsAre("pot", "biscuit", "black")) << "what was looked at before may be what is wanted";
}

TEST_F(ListAnswerTest, NextItemsComeFromSessionsLikeThisOne) {
  AddTable(OwnedTable::MakeSessions("sessions", Names(), {{"green", "pot"}, {"green", "pot"}, {"green", "cake"}, {"black", "white"}}));
  lists_.strategies = {{StrategyKind::kSessions, "sessions", 1}};
  const ListAnswer answer = Answer(ListCall::kRecommendNext, {"green"});
  EXPECT_THAT(Ids(answer), Not(Contains("green")));
  EXPECT_THAT(Ids(answer), Not(Contains("white")));
  EXPECT_THAT(Ids(answer), Contains("pot"));
  EXPECT_EQ(answer.entries[0].because_item_id, "green");
}

TEST_F(ListAnswerTest, ContentFindsTheSameCategoryAndBrand) {
  lists_.strategies = {{StrategyKind::kContent, "", 1}};
  const ListAnswer answer = Answer(ListCall::kSimilarItems, {"green"});
  EXPECT_THAT(Ids(answer), ElementsAre("black", "white")) << "category and brand; category alone";
  EXPECT_EQ(answer.entries[0].because_item_id, "green");
}

TEST_F(ListAnswerTest, TrendingIsWhatRisesPopularWhatSells) {
  for (int day = -60; day < 0; ++day) Buy("", {"black"}, kDayZero + day * kDay);
  for (int i = 0; i < 6; ++i) Buy("", {"white"}, kDayZero - kDay);
  lists_.strategies = {{StrategyKind::kPopular, "", 1}};
  EXPECT_THAT(Ids(Answer(ListCall::kRecommendItems, {})), ElementsAre("black", "white"));
  lists_.strategies = {{StrategyKind::kTrending, "", 1}};
  EXPECT_THAT(Ids(Answer(ListCall::kRecommendItems, {})), ElementsAre("white", "black"));
}

// As many of both, but one sells on Saturdays and the other on Mondays.
TEST_F(ListAnswerTest, PopularAndTrendingKnowTheWeekday) {
  const TimeMicros saturday = kDayZero + 2 * kDay;
  for (int week = -8; week < 0; ++week) {
    for (int i = 0; i < 40; ++i) Buy("", {"black"}, saturday + (7 * week) * kDay);
    for (int i = 0; i < 40; ++i) Buy("", {"white"}, saturday + (7 * week - 5) * kDay);
  }
  for (const StrategyKind kind : {StrategyKind::kPopular, StrategyKind::kTrending}) {
    lists_.strategies = {{kind, "", 1}};
    EXPECT_THAT(Ids(Answer(ListCall::kRecommendItems, {}, "", "", saturday)), ElementsAre("black", "white"));
    EXPECT_THAT(Ids(Answer(ListCall::kRecommendItems, {}, "", "", saturday + 2 * kDay)), ElementsAre("white", "black"));
  }
}

TEST_F(ListAnswerTest, PopularIsThatOfTheMarketWhereItHasOrders) {
  for (int i = 0; i < 3; ++i) Buy("", {"black"}, kDayZero, "de");
  Buy("", {"white"}, kDayZero, "nl");
  lists_.strategies = {{StrategyKind::kPopular, "", 1}};
  EXPECT_THAT(Ids(Answer(ListCall::kRecommendItems, {}, "", "nl")), ElementsAre("white"));
  EXPECT_THAT(Ids(Answer(ListCall::kRecommendItems, {}, "", "fr")), ElementsAre("black", "white"));
}

TEST_F(ListAnswerTest, AnArrivalIsWhenTheItemCameIntoTheCatalogue) {
  Write(ItemsUpserted{{MakeItem("mug")}}, kDayZero + kDay);
  Write(ItemsUpserted{{MakeItem("green", "tea", "leaf")}}, kDayZero + 2 * kDay);  // known: no arrival
  Write(ItemDeleted{ItemId("black")}, kDayZero + 2 * kDay);
  Write(ItemsUpserted{{MakeItem("black", "tea", "leaf")}}, kDayZero + 3 * kDay);
  lists_.strategies = {{StrategyKind::kNewArrivals, "", 1}};
  slate_size_ = 3;
  EXPECT_THAT(Ids(Answer(ListCall::kRecommendItems, {})), ElementsAre("black", "mug", "green"));
}

TEST_F(ListAnswerTest, ARollBackPutsTheVersionBeforeInForceAndForgetsTheLaterOne) {
  const auto old_table = tables_["together"];
  const auto newer = std::const_pointer_cast<ListTable>(OwnedTable::Make("together", Names(), {{"green", {{"white", 1}}}}));
  newer->version = 2;
  AddTable(newer);
  EXPECT_THAT(Ids(Answer(ListCall::kSimilarItems, {"green"})), ElementsAre("white"));
  tables_["together"] = old_table;
  Write(TablePublished{"together", 1, 0, /*rolled_back=*/true});
  EXPECT_THAT(Ids(Answer(ListCall::kSimilarItems, {"green"})), ElementsAre("pot", "biscuit", "black"));
  EXPECT_EQ(fold_.state().tables.Find("together")->versions.size(), 1u);
}

TEST_F(ListAnswerTest, APlacementWithoutListsOrNoneAtAllIsAnError) {
  Write(PlacementSet{MakePlacement("home", "")});
  ListAnswer answer;
  ListRequest request;
  request.placement = "home";
  EXPECT_THAT(AnswerList(fold_.state(), request, kDayZero, scratch_, answer), StatusIs(absl::StatusCode::kFailedPrecondition, "lists"));
  request.placement = "nowhere";
  EXPECT_THAT(AnswerList(fold_.state(), request, kDayZero, scratch_, answer), StatusIs(absl::StatusCode::kNotFound, "nowhere"));
}

TEST_F(ListAnswerTest, MoreThanThePlacementShowsIsCoercedAndSaid) {
  slate_size_ = 2;
  Answer(ListCall::kSimilarItems, {"green"});
  ListRequest request;
  request.call = ListCall::kSimilarItems;
  request.placement = "cart";
  request.items = {"green"};
  request.count = 5;
  ListAnswer answer;
  ASSERT_OK(AnswerList(fold_.state(), request, kDayZero, scratch_, answer));
  EXPECT_EQ(answer.entries.size(), 2u);
  EXPECT_THAT(answer.notes, ElementsAre(ListNote::kCountCoerced));
}

// Whatever the shop and the settings: nothing hidden, twice or off sale is shown, caps hold, and without diversity scores fall.
// One strategy that nothing is weighed against is asked for no more than is shown: with a second one that has nothing to say it is asked
// for more, and the list is the same, also where scores are equal.
TEST_F(ListAnswerTest, AskingForNoMoreThanIsShownChangesNothing) {
  std::vector<std::string> names;
  std::vector<Item> items;
  for (int i = 0; i < 60; ++i) names.push_back(absl::StrCat("n", 10 + (i * 37) % 60));
  for (const std::string& name : names) items.push_back(MakeItem(name, absl::StrCat("category ", name.substr(name.size() - 1)), "brand"));
  Write(ItemsUpserted{items});
  Rng rng(11);
  for (int round = 0; round < 40; ++round) {
    OwnedTable::Rows rows;
    for (const std::string& from : names) {
      rows.push_back({from, {}});
      for (const std::string& to : names) {
        if (to != from && rng.NextUniform() < 0.7) rows.back().second.push_back({to, static_cast<float>(1 + rng.NextBits() % 3)});
      }
      std::stable_sort(rows.back().second.begin(), rows.back().second.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    }
    AddTable(OwnedTable::Make("random", names, rows));
    slate_size_ = 1 + static_cast<int>(rng.NextBits() % 12);
    lists_.by_reciprocal_rank = false;
    lists_.strategies = {{StrategyKind::kNeighbours, "random", 1}};
    const std::vector<absl::string_view> cart = {names[rng.NextBits() % 60], names[rng.NextBits() % 60]};
    const ListAnswer shallow = Answer(ListCall::kCrossSell, cart);
    lists_.strategies.push_back({StrategyKind::kNeighbours, "nobody has this", 1});
    const ListAnswer deep = Answer(ListCall::kCrossSell, cart);
    ASSERT_EQ(Ids(shallow), Ids(deep)) << round;
    for (size_t i = 0; i < shallow.entries.size(); ++i) {
      EXPECT_EQ(shallow.entries[i].score, deep.entries[i].score);
      EXPECT_EQ(shallow.entries[i].because_item_id, deep.entries[i].because_item_id);
    }
  }
}

TEST_F(ListAnswerTest, InvariantsHoldForRandomShops) {
  Rng rng(7);
  const auto pick = [&rng](size_t n) { return static_cast<size_t>(rng.NextBits() % n); };
  std::vector<std::string> names = Names();
  for (int i = 0; i < 40; ++i) names.push_back(absl::StrCat("x", i));
  std::sort(names.begin(), names.end());
  std::map<std::string, std::string> category_of;
  for (const std::string& name : names) {
    category_of[name] = absl::StrCat("c", pick(5));
    Item item = MakeItem(name, category_of[name], absl::StrCat("b", pick(4)));
    if (pick(5) == 0) item.unavailable_markets = {"nl"};
    Write(ItemsUpserted{{item}});
  }
  OwnedTable::Rows rows;
  for (const std::string& from : names) {
    std::vector<std::pair<std::string, float>> row;
    std::set<std::string> seen = {from};
    for (float score = 20; score > 0; --score) {
      const std::string& to = names[pick(names.size())];
      if (seen.insert(to).second) row.emplace_back(to, score);
    }
    rows.emplace_back(from, row);
  }
  AddTable(OwnedTable::Make("random", names, rows));
  for (int i = 0; i < 200; ++i) {
    if (pick(2) == 0) Buy(absl::StrCat("p", pick(5)), {names[pick(names.size())], names[pick(names.size())]}, kDayZero + i * kDay / 10, pick(2) == 0 ? "nl" : "");
    if (pick(2) == 0) View(absl::StrCat("p", pick(5)), names[pick(names.size())], kDayZero + i * kDay / 10);
  }
  for (int round = 0; round < 300; ++round) {
    lists_ = Lists();
    const auto strategy = [&] {
      const auto kind = static_cast<StrategyKind>(1 + pick(kNumStrategyKinds - 1));
      const bool reads = kind == StrategyKind::kNeighbours || kind == StrategyKind::kHistory || kind == StrategyKind::kSessions;
      return Strategy{kind, reads ? "random" : "", 0.1 + rng.NextUniform()};
    };
    for (size_t i = 0; i <= pick(3); ++i) lists_.strategies.push_back(strategy());
    for (size_t i = 0; i < pick(3); ++i) lists_.fallbacks.push_back(strategy());
    lists_.by_reciprocal_rank = pick(2) == 0;
    lists_.max_per_category = static_cast<int>(pick(4));
    lists_.diversity = pick(2) == 0 ? 0 : rng.NextUniform() * 0.9;
    lists_.keep_bought = pick(2) == 0;
    excluded_ = {names[pick(names.size())]};
    slate_size_ = 1 + static_cast<int>(pick(20));
    std::vector<absl::string_view> items;
    for (size_t i = 0; i < pick(6); ++i) items.push_back(names[pick(names.size())]);
    const auto call = static_cast<ListCall>(pick(4));
    if (call == ListCall::kRecommendItems) items.clear();
    const ListAnswer answer = Answer(call, items, absl::StrCat("p", pick(6)), "nl", kDayZero + 30 * kDay);

    std::set<std::string> seen;
    std::map<std::string, int> by_category;
    EXPECT_LE(answer.entries.size(), static_cast<size_t>(slate_size_));
    for (size_t i = 0; i < answer.entries.size(); ++i) {
      const ListEntry& entry = answer.entries[i];
      EXPECT_TRUE(seen.insert(entry.item_id).second) << entry.item_id << " twice, round " << round;
      EXPECT_NE(entry.item_id, excluded_[0]);
      EXPECT_TRUE(fold_.state().catalogue.IsOnSale(*fold_.state().catalogue.FindItem(entry.item_id), "nl"));
      if (call != ListCall::kRecommendNext) EXPECT_THAT(items, Not(Contains(entry.item_id)));
      if (lists_.max_per_category > 0) EXPECT_LE(++by_category[category_of[entry.item_id]], lists_.max_per_category);
      const bool falls = i == 0 || entry.is_fallback != answer.entries[i - 1].is_fallback || entry.is_fallback ||
                         entry.score <= answer.entries[i - 1].score;
      if (lists_.diversity == 0) EXPECT_TRUE(falls) << "round " << round << " place " << i;
    }
  }
}

}  // namespace
}  // namespace offerd
