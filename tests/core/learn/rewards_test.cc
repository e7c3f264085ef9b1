// The reward contract: which event pays which slot, refunds, holding back, purchases without a decision, merged customers.
#include <algorithm>
#include <cmath>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "core/learn/fold.h"
#include "core/rng.h"
#include "tests/core/log_writer.h"

namespace offerd {
namespace {

constexpr TimeMicros kSecond = kMicrosPerSecond;

class RewardsTest : public ::testing::Test {
 protected:
  RewardsTest() {
    placement_ = MakePlacement("home", "model");
    placement_.window_seconds = 1000;
    placement_.max_lateness_seconds = 500;
  }

  void SetUpShop() {
    log_->Write(now_, PolicySet{MakeLinear("model")});
    log_->Write(now_, PlacementSet{placement_});
    Item item = MakeItem("i1");
    item.cost_micros = 2'000'000;
    log_->Write(now_, ItemsUpserted{{item}});
    log_->Write(now_, OffersUpserted{{MakeOffer("o1", {"i1", "i2"}), MakeOffer("o2", {"i2", "i3"})}});
  }

  void Decide(const std::string& id, const std::string& customer = "", std::vector<std::string> offers = {"o1", "o2"}) {
    DecisionChange change;
    change.id = DecisionId(id);
    change.customer_id = CustomerId(customer);
    change.placement = "home";
    change.learner = "model";
    change.learner_sequence = log_->state().FindPolicy("model")->model_sequence;
    for (const std::string& offer : offers) change.slots.push_back({OfferId(offer), Eigen::VectorXf::Constant(3, 1)});
    log_->Write(now_, change);
  }

  Event MakeBuy(const std::string& id, const std::string& decision, std::vector<EventLine> lines) {
    Event event = MakeEvent(EventKind::kPurchase, now_);
    event.id = EventId(id);
    event.decision_id = DecisionId(decision);
    event.lines = std::move(lines);
    return event;
  }
  Event MakeRefund(const std::string& id, const std::string& decision, const std::string& reverses, std::vector<EventLine> lines = {}) {
    Event event = MakeBuy(id, decision, std::move(lines));
    event.kind = EventKind::kRefund;
    event.reverses_event_id = EventId(reverses);
    return event;
  }

  double Earned(const std::string& decision, size_t slot = 0) { return log_->fold.FindOpen(DecisionId(decision))->slots[slot].earned; }
  const LinearStatistics& statistics() { return log_->fold.learning().at("model").statistics; }
  const Counters& counters() { return log_->state().counters; }

  std::unique_ptr<LogWriter> log_ = std::make_unique<LogWriter>();
  TimeMicros now_ = kDayZero;
  Placement placement_;
};

constexpr int64_t kUnit = 1'000'000;

TEST_F(RewardsTest, MarginIsRevenueAfterKnownCosts) {
  placement_.reward.value = RewardSpec::Value::kMargin;
  placement_.reward.weights[static_cast<int>(EventKind::kPurchase)] = 1;
  SetUpShop();
  Decide("d");
  log_->Write(now_, MakeBuy("e", "d", {{"i1", 2, 7 * kUnit}, {"i2", 1, 3 * kUnit}}));
  EXPECT_DOUBLE_EQ(Earned("d", 0), 7 - 2 * 2 + 3);  // i2 has no known cost
  EXPECT_DOUBLE_EQ(Earned("d", 1), 3);
}

TEST_F(RewardsTest, AttributionPaysEveryTheFirstOrEvenParts) {
  for (const auto& [attribution, first, second] :
       {std::tuple(RewardSpec::Attribution::kEverySlot, 5.0, 5.0), std::tuple(RewardSpec::Attribution::kFirstSlot, 5.0, 0.0),
        std::tuple(RewardSpec::Attribution::kSplit, 2.5, 2.5)}) {
    log_ = std::make_unique<LogWriter>();
    placement_.reward.attribution = attribution;
    SetUpShop();
    Decide("d");
    log_->Write(now_, MakeBuy("e", "d", {{"i2", 1, kUnit}}));  // both offers cover it
    EXPECT_EQ(Earned("d", 0), first);
    EXPECT_EQ(Earned("d", 1), second);
  }
}

TEST_F(RewardsTest, EarliestIsByTimeOfTheEventNotOfItsArrival) {
  placement_.reward.aggregation = RewardSpec::Aggregation::kEarliest;
  SetUpShop();
  Decide("d");
  Event click = MakeEvent(EventKind::kClick, now_ + 20 * kSecond);
  click.id = EventId("click");
  click.decision_id = DecisionId("d");
  click.offer_id = OfferId("o1");
  Event buy = MakeBuy("buy", "d", {{"i1", 1, kUnit}});
  buy.time = now_ + 10 * kSecond;
  log_->Write(now_ + 30 * kSecond, click);
  EXPECT_EQ(Earned("d"), 1);
  log_->Write(now_ + 31 * kSecond, buy);
  EXPECT_EQ(Earned("d"), 5);
  log_->Write(now_ + 32 * kSecond, MakeRefund("back", "d", "buy"));
  EXPECT_EQ(Earned("d"), 1) << "a refunded event has not happened";
}

TEST_F(RewardsTest, RefundsTakeBackWhollyOrInPartInAnyOrder) {
  placement_.reward.value = RewardSpec::Value::kRevenue;
  placement_.reward.weights[static_cast<int>(EventKind::kPurchase)] = 2;
  placement_.reward.value_cap = 8;
  placement_.reward.default_reward = 0.5;
  SetUpShop();
  Decide("d");
  EXPECT_EQ(Earned("d"), 0.5);
  log_->Write(now_, MakeRefund("r1", "d", "e", {{"i1", 1, 4 * kUnit}}));  // before what it takes back
  EXPECT_EQ(counters().unknown_refunds, 1);
  EXPECT_EQ(Earned("d"), 0.5);
  log_->Write(now_, MakeBuy("e", "d", {{"i1", 1, 10 * kUnit}}));
  EXPECT_EQ(Earned("d"), 12);  // (10 - 4) x 2
  log_->Write(now_, MakeRefund("r2", "", "e", {{"i1", 1, kUnit}}));  // finds the decision by the event
  EXPECT_EQ(Earned("d"), 10);
  EXPECT_EQ(counters().refunds, 1);
  log_->Write(now_, MakeRefund("r3", "d", "e", {{"i1", 1, 100 * kUnit}}));  // never below nothing
  EXPECT_EQ(Earned("d"), 0.5);
  EXPECT_EQ(Earned("d", 1), 0.5);
  log_->Write(now_, MakeRefund("r4", "", "nobody"));
  EXPECT_EQ(counters().unknown_refunds, 2);
  const double total = statistics().total_weight();
  EXPECT_NEAR(statistics().reward_x()[0], 0.5 * total, 1e-12) << "sums are as if nothing had been bought";
}

TEST_F(RewardsTest, EventsThatCannotEarnAreCountedAndHarmNothing) {
  placement_.reward.currency = "EUR";
  SetUpShop();
  Decide("d");
  Event early = MakeBuy("early", "d", {{"i1", 1, kUnit}});
  early.time = now_ - 301 * kSecond;
  log_->Write(now_, early);
  EXPECT_EQ(counters().before_decision, 1);
  Event dollars = MakeBuy("dollars", "d", {{"i1", 1, kUnit}});
  dollars.currency = "USD";
  log_->Write(now_, dollars);
  EXPECT_EQ(counters().other_currency, 1);
  log_->Write(now_, MakeBuy("other", "d", {{"i9", 1, kUnit}}));
  EXPECT_EQ(counters().unmatched, 1);
  Event late = MakeBuy("late", "d", {{"i1", 1, kUnit}});
  late.time = now_ + 1001 * kSecond;
  log_->Write(now_ + 1002 * kSecond, late);
  EXPECT_EQ(counters().outside_window, 1);
  EXPECT_EQ(Earned("d"), 0);
  EXPECT_EQ(counters().rewarded, 0);
}

TEST_F(RewardsTest, ASlotHasRoomForSoManyEvents) {
  SetUpShop();
  Decide("d");
  for (size_t i = 0; i < kMaxSlotEvents + 3; ++i) log_->Write(now_, MakeBuy(absl::StrCat("e", i), "d", {{"i1", 1, kUnit}}));
  EXPECT_EQ(counters().overfull, 3);
  EXPECT_EQ(Earned("d"), 5.0 * kMaxSlotEvents);
}

TEST_F(RewardsTest, ACustomersWorthMultiplies) {
  placement_.reward.customer_weight = "worth";
  SetUpShop();
  Customer customer;
  customer.id = CustomerId("anna");
  customer.attributes.push_back({"worth", false, 3, ""});
  log_->Write(now_, CustomersUpserted{{customer}});
  Decide("d", "anna");
  Decide("e", "bert");
  log_->Write(now_, MakeBuy("1", "d", {{"i1", 1, kUnit}}));
  log_->Write(now_, MakeBuy("2", "e", {{"i1", 1, kUnit}}));
  EXPECT_EQ(Earned("d"), 15);
  EXPECT_EQ(Earned("e"), 5);
}

TEST_F(RewardsTest, ExaminationWeighsSlotsAndTheLastGoesForTheRest) {
  placement_.examination = {1, 0.5};
  SetUpShop();
  Decide("d", "", {"o1", "o2", "o1x"});
  const OpenDecision& open = *log_->fold.FindOpen(DecisionId("d"));
  EXPECT_EQ(open.slots[0].weight.examination, 1);
  EXPECT_EQ(open.slots[1].weight.examination, 0.5);
  EXPECT_EQ(open.slots[2].weight.examination, 0.5);
  EXPECT_EQ(statistics().gram()(0, 0), 2);
}

// ---- holding back ----

TEST_F(RewardsTest, AHeldBackSlotCountsWhenItsTimeIsOverWithWhatItHasEarned) {
  placement_.settle_after_seconds = 60;
  SetUpShop();
  Decide("d");
  EXPECT_EQ(statistics().num_shown(), 0);
  log_->Write(now_ + 30 * kSecond, MakeBuy("e", "d", {{"i1", 1, kUnit}}));
  EXPECT_EQ(statistics().num_shown(), 0);
  log_->Write(now_ + 60 * kSecond, MakeEvent(EventKind::kView, now_));
  EXPECT_EQ(statistics().num_shown(), 0) << "until then, inclusive";
  log_->Write(now_ + 61 * kSecond, MakeEvent(EventKind::kView, now_));
  EXPECT_EQ(statistics().num_shown(), 2);
  EXPECT_EQ(counters().settled, 2);
  EXPECT_EQ(statistics().reward_x()[0], 5);
  log_->Write(now_ + 62 * kSecond, MakeBuy("f", "d", {{"i3", 1, kUnit}}));  // later ones are differences, as ever
  EXPECT_EQ(statistics().reward_x()[0], 10);
}

TEST_F(RewardsTest, HeldBackOrNotTheSumsEndTheSame) {
  std::vector<uint64_t> checksums;
  for (const int64_t hold : {0, 200, 1500}) {
    log_ = std::make_unique<LogWriter>();
    placement_.settle_after_seconds = hold;
    SetUpShop();
    for (int i = 0; i < 10; ++i) {
      Decide(absl::StrCat("d", i));
      log_->Write(now_ + 100 * kSecond, MakeBuy(absl::StrCat("e", i), absl::StrCat("d", i), {{"i1", 1, kUnit}}));
    }
    log_->Write(now_ + 5000 * kSecond, MakeEvent(EventKind::kView, now_));
    EXPECT_EQ(log_->fold.open_decisions().size(), 0u);
    checksums.push_back(statistics().Checksum());
  }
  EXPECT_EQ(checksums[0], checksums[1]);
  EXPECT_EQ(checksums[0], checksums[2]);
}

TEST_F(RewardsTest, ADecisionThatLeavesEarlyIsCountedFirst) {
  log_ = std::make_unique<LogWriter>(FoldLimits{16'384, 2});
  placement_.settle_after_seconds = 60;
  SetUpShop();
  for (int i = 0; i < 5; ++i) Decide(absl::StrCat("d", i));
  EXPECT_EQ(counters().closed_early, 3);
  EXPECT_EQ(statistics().num_shown(), 6);
}

// ---- purchases without a decision ----

TEST_F(RewardsTest, APurchaseGoesToTheLastDecisionThatShowedAMatchingOffer) {
  SetUpShop();
  const auto buy = [&](const std::string& id, const std::string& item) {
    Event event = MakeBuy(id, "", {{item, 1, kUnit}});
    event.customer_id = CustomerId("anna");
    log_->Write(now_, event);
  };
  Decide("first", "anna", {"o1"});
  now_ += 10 * kSecond;
  Decide("second", "anna", {"o2"});
  Decide("others", "bert", {"o1", "o2"});
  now_ += 10 * kSecond;
  buy("1", "i1");
  EXPECT_EQ(Earned("first"), 5) << "the last one shows nothing that covers it";
  buy("2", "i2");
  EXPECT_EQ(Earned("second"), 5);
  EXPECT_EQ(Earned("first"), 5);
  buy("3", "i9");
  EXPECT_EQ(counters().attributed, 2);
  now_ += 1005 * kSecond;  // the first one's window is over, the second one's too
  buy("4", "i2");
  EXPECT_EQ(counters().attributed, 2);
  EXPECT_EQ(Earned("others"), 0);
  EXPECT_EQ(log_->state().customers.Find("anna")->num_visits(), 4u) << "all of them are visits";
}

TEST_F(RewardsTest, AnErasedCustomersPurchasesFindNothing) {
  SetUpShop();
  Decide("d", "anna");
  log_->Write(now_, CustomerErased{CustomerId("anna")});
  EXPECT_EQ(log_->fold.FindOpen(DecisionId("d"))->customer_id, "");
  Event event = MakeBuy("1", "", {{"i1", 1, kUnit}});
  event.customer_id = CustomerId("anna");
  log_->Write(now_, event);
  EXPECT_EQ(Earned("d"), 0);
}

// ---- merging ----

TEST_F(RewardsTest, AMergedSessionBringsVisitsAndDecisionsAlong) {
  SetUpShop();
  log_->Write(now_, MakePurchase("anna", now_ - 10 * kMicrosPerDay, {"i1"}, "a1"));
  log_->Write(now_, MakePurchase("session-7", now_ - 5 * kMicrosPerDay, {"i2", "i3"}, "s1"));
  Decide("d", "session-7");
  log_->Write(now_, CustomersMerged{CustomerId("session-7"), CustomerId("anna")});
  EXPECT_EQ(log_->state().customers.Find("session-7"), nullptr);
  const Profile& anna = *log_->state().customers.Find("anna");
  EXPECT_EQ(anna.num_visits(), 2u);
  EXPECT_EQ(anna.num_lines(), 3);
  EXPECT_EQ(anna.last_visit(), now_ - 5 * kMicrosPerDay);
  Event event = MakeBuy("1", "", {{"i1", 1, kUnit}});
  event.customer_id = CustomerId("anna");
  log_->Write(now_, event);
  EXPECT_EQ(Earned("d"), 5);
  EXPECT_EQ(counters().merged_customers, 1);
  log_->Write(now_, CustomersMerged{CustomerId("session-7"), CustomerId("anna")});  // again: nothing
  EXPECT_EQ(counters().merged_customers, 1);
}

// Whoever is merged has the profile of one who did everything under one id; the number of the last visit aside.
TEST_F(RewardsTest, AMergedProfileIsThatOfOneId) {
  SetUpShop();
  Rng rng(11);
  std::vector<std::pair<TimeMicros, std::vector<std::string>>> visits;
  TimeMicros time = now_ - 300 * kMicrosPerDay;
  for (int i = 0; i < 40; ++i) {
    time += static_cast<TimeMicros>(rng.NextBits() % 5'000) * 60 * kSecond;
    visits.push_back({time, {absl::StrCat("i", rng.NextBits() % 4), absl::StrCat("i", rng.NextBits() % 4)}});
  }
  for (const auto& [at, items] : visits) {
    log_->Write(now_, MakePurchase(rng.NextUniform() < 0.5 ? "left" : "right", at, items));
  }
  for (const auto& [at, items] : visits) log_->Write(now_, MakePurchase("one", at, items));
  log_->Write(now_, CustomersMerged{CustomerId("right"), CustomerId("left")});
  const Profile& merged = *log_->state().customers.Find("left");
  const Profile& one = *log_->state().customers.Find("one");
  EXPECT_EQ(merged.num_visits(), one.num_visits());
  EXPECT_EQ(merged.num_lines(), one.num_lines());
  EXPECT_EQ(merged.first_visit(), one.first_visit());
  EXPECT_NEAR(merged.DecayedVisits(now_), one.DecayedVisits(now_), 1e-9);
  ASSERT_EQ(merged.items().size(), one.items().size());
  for (size_t i = 0; i < one.items().size(); ++i) EXPECT_EQ(merged.items()[i], one.items()[i]);
  ASSERT_EQ(merged.affinities().size(), one.affinities().size());
  for (size_t i = 0; i < one.affinities().size(); ++i) {
    const Affinity& a = merged.affinities()[i];
    const Affinity& b = one.affinities()[i];
    EXPECT_EQ(a.key, b.key);
    EXPECT_EQ(a.visits, b.visits);
    EXPECT_EQ(a.first, b.first);
    EXPECT_EQ(a.last, b.last);
    EXPECT_NEAR(a.DecayedAt(now_), b.DecayedAt(now_), 1e-9);
    EXPECT_EQ(a.last_visit == merged.num_visits(), b.last_visit == one.num_visits());
  }
}

// ---- any delay, order and duplication of the same events ends in the same state ----

class RewardOrderTest : public RewardsTest {
 protected:
  // What is seen twice is refused before the log (DUPLICATE): the fold counts it and does nothing else.
  uint64_t Tell(const std::vector<Event>& events, const std::vector<size_t>& order, Rng& rng, Eigen::VectorXd* reward_x, double* squares) {
    log_ = std::make_unique<LogWriter>();
    SetUpShop();
    for (int i = 0; i < 6; ++i) Decide(absl::StrCat("d", i), absl::StrCat("c", i));
    TimeMicros arrival = now_;
    std::set<std::string> seen;
    for (const size_t at : order) {
      Event event = events[at];
      arrival += static_cast<TimeMicros>(rng.NextBits() % 3) * kSecond;
      event.fate = seen.insert(event.id.value()).second ? Fate::kApplied : Fate::kDuplicate;
      log_->Write(arrival, event);
    }
    log_->Write(now_ + 600 * kSecond, MakeEvent(EventKind::kView, now_));  // nothing is held back any longer, nothing closed yet
    *reward_x = statistics().reward_x();
    *squares = statistics().reward_squared();
    return statistics().Checksum();
  }
};

TEST_F(RewardOrderTest, OrderDelayAndDuplicatesDoNotMatter) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    placement_.reward.value = static_cast<RewardSpec::Value>(rng.NextBits() % 3);
    placement_.reward.aggregation = static_cast<RewardSpec::Aggregation>(rng.NextBits() % 3);
    placement_.reward.attribution = static_cast<RewardSpec::Attribution>(rng.NextBits() % 3);
    placement_.reward.default_reward = rng.NextUniform() < 0.5 ? 0 : 0.25;
    placement_.reward.value_cap = rng.NextUniform() < 0.5 ? 0 : 4;
    placement_.settle_after_seconds = rng.NextUniform() < 0.5 ? 0 : static_cast<int64_t>(rng.NextBits() % 200);
    std::vector<Event> events;
    for (int i = 0; i < 40; ++i) {
      const std::string decision = absl::StrCat("d", rng.NextBits() % 6);
      std::vector<EventLine> lines;
      for (uint64_t n = 1 + rng.NextBits() % 2; n-- > 0;) {
        lines.push_back({absl::StrCat("i", 1 + rng.NextBits() % 4), 1, static_cast<int64_t>(rng.NextBits() % (6 * kUnit))});
      }
      Event event = i > 5 && rng.NextUniform() < 0.3
                        ? MakeRefund(absl::StrCat("r", i), decision, absl::StrCat("e", rng.NextBits() % static_cast<uint64_t>(i)))
                        : MakeBuy(absl::StrCat("e", i), decision, lines);
      if (event.kind == EventKind::kRefund && rng.NextUniform() < 0.5) event.lines = lines;
      if (event.kind == EventKind::kRefund) {  // of the same decision as the event, as a shop would send it
        for (const Event& earlier : events) {
          if (earlier.id == event.reverses_event_id) event.decision_id = earlier.decision_id;
        }
      }
      event.time = now_ + static_cast<TimeMicros>(rng.NextBits() % 300) * kSecond;
      events.push_back(event);
    }
    std::vector<size_t> order(events.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    Eigen::VectorXd expected, found;
    double expected_squares = 0, squares = 0;
    Tell(events, order, rng, &expected, &expected_squares);
    for (int shuffle = 0; shuffle < 3; ++shuffle) {
      for (size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[rng.NextBits() % (i + 1)]);
      std::vector<size_t> repeated = order;
      for (int i = 0; i < 10; ++i) repeated.push_back(order[rng.NextBits() % order.size()]);
      Tell(events, repeated, rng, &found, &squares);
      for (int k = 0; k < 3; ++k) EXPECT_NEAR(found[k], expected[k], 1e-9 * (1 + std::abs(expected[k])));
      EXPECT_NEAR(squares, expected_squares, 1e-9 * (1 + std::abs(expected_squares)));
    }
    // The same log order: the same bits.
    Rng one(seed), two(seed);
    EXPECT_EQ(Tell(events, order, one, &found, &squares), Tell(events, order, two, &found, &squares));
  }
}

}  // namespace
}  // namespace offerd
