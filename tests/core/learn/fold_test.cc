#include "core/learn/fold.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "core/rng.h"
#include "tests/core/log_writer.h"
#include "tests/support/reference/join_reference.h"

namespace offerd {
namespace {

constexpr TimeMicros kSecond = kMicrosPerSecond;

Eigen::VectorXf RandomX(Rng& rng) {
  Eigen::VectorXf x(3);
  x << 1.0f, static_cast<float>(rng.NextNormal()), static_cast<float>(rng.NextUniform());
  return x;
}

// One linear policy "model" (d = 3) learning at placement "home"; offers o0 to o4, offer n covers items in and i(n+1).
class FoldTest : public ::testing::Test {
 protected:
  explicit FoldTest(FoldLimits limits = {}) : log_(limits) {
    placement_ = MakePlacement("home", "model");
    placement_.window_seconds = 100;
    placement_.max_lateness_seconds = 50;
  }

  void SetUpShop() {
    log_.Write(now_, PolicySet{model_});
    log_.Write(now_, PlacementSet{placement_});
    std::vector<Offer> offers;
    for (int i = 0; i < 5; ++i) {
      offers.push_back(MakeOffer(absl::StrCat("o", i), {absl::StrCat("i", i), absl::StrCat("i", i + 1)}));
      offers.back().cost_micros = 250'000;
    }
    log_.Write(now_, OffersUpserted{offers});
  }

  DecisionChange MakeDecision(const std::string& id, const std::vector<std::string>& offers) {
    DecisionChange change;
    change.id = DecisionId(id);
    change.placement = "home";
    change.learner = "model";
    change.learner_sequence = model_sequence();
    for (const std::string& offer : offers) change.slots.push_back({OfferId(offer), RandomX(rng_)});
    return change;
  }
  void Decide(const std::string& id, const std::vector<std::string>& offers) { log_.Write(now_, MakeDecision(id, offers)); }

  Event EventFor(const std::string& decision, EventKind kind, const std::string& offer) {
    Event event = MakeEvent(kind, now_);
    event.decision_id = DecisionId(decision);
    event.offer_id = OfferId(offer);
    return event;
  }

  Sequence model_sequence() const {
    const PolicyState* policy = log_.state().FindPolicy("model");
    return policy == nullptr ? 0 : policy->model_sequence;
  }
  const PolicyLearning& learning() const { return log_.fold.learning().at("model"); }
  const LinearStatistics& statistics() const { return learning().statistics; }
  const Counters& counters() const { return log_.state().counters; }
  double Earned(const std::string& decision, size_t slot = 0) { return log_.fold.FindOpen(DecisionId(decision))->slots[slot].earned; }

  Rng rng_{1};
  LogWriter log_;
  TimeMicros now_ = kDayZero;
  Policy model_ = MakeLinear("model");
  Placement placement_;
};

// Sums brought to T against those of the twin.
void ExpectLearned(const PolicyLearning& learning, const JoinReference& twin) {
  const LinearReference expected = twin.Slots();
  ASSERT_EQ(learning.statistics.num_shown(), static_cast<int64_t>(expected.slots.size()));
  if (expected.slots.empty()) return;
  EXPECT_EQ(learning.newest, twin.Newest());
  double to_T = 1;
  if (twin.half_life_days > 0) {
    const double half_life = twin.half_life_days * static_cast<double>(kMicrosPerDay);
    to_T = std::exp2(static_cast<double>(learning.half_lives) - static_cast<double>(learning.newest - learning.epoch) / half_life);
  }
  const LinearReference::Matrix gram = expected.Gram(3);
  const LinearReference::Vector reward_x = expected.RewardX(3);
  const double size = 1e-9 * (1 + expected.TotalWeight());
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j <= i; ++j) EXPECT_NEAR(to_T * learning.statistics.gram()(i, j), static_cast<double>(gram(i, j)), size);
    EXPECT_NEAR(to_T * learning.statistics.reward_x()[i], static_cast<double>(reward_x[i]), 100 * size);
  }
  EXPECT_NEAR(to_T * learning.statistics.reward_squared(), expected.RewardSquared(), 1e4 * size);
  EXPECT_NEAR(to_T * learning.statistics.total_weight(), expected.TotalWeight(), size);
}

// Random life of one placement: decisions (some deferred), activations, events of all kinds, late and out of order.
class FoldTwinTest : public FoldTest {
 protected:
  void Run(int steps, double mean_gap_seconds) {
    SetUpShop();
    twin_.placement = placement_;
    twin_.half_life_days = model_.half_life_days;
    for (int i = 0; i < 5; ++i) twin_.covers[absl::StrCat("o", i)] = {absl::StrCat("i", i), absl::StrCat("i", i + 1)};
    for (int step = 0; step < steps; ++step) {
      now_ += static_cast<TimeMicros>(rng_.NextUniform() * 2 * mean_gap_seconds * static_cast<double>(kSecond));
      const double choice = rng_.NextUniform();
      if (choice < 0.3 || ids_.empty()) {
        DoDecide();
      } else if (choice < 0.4) {
        DoActivate();
      } else {
        DoHappen();
      }
    }
  }

  void DoDecide() {
    ids_.push_back(absl::StrCat("d", ids_.size()));
    std::vector<std::string> offers;
    const uint64_t first = rng_.NextBits() % 5;
    for (uint64_t n = 1 + rng_.NextBits() % 3, i = 0; i < n; ++i) offers.push_back(absl::StrCat("o", (first + 2 * i) % 5));
    DecisionChange change = MakeDecision(ids_.back(), offers);
    change.deferred = rng_.NextUniform() < 0.3;
    log_.Write(now_, change);
    twin_.Decide(change, now_);
  }
  std::string Recent() { return ids_[ids_.size() - 1 - rng_.NextBits() % std::min<size_t>(ids_.size(), 8)]; }
  void DoActivate() {
    Activation activation{DecisionId(Recent()), {}};
    if (rng_.NextUniform() < 0.6) activation.slots = {static_cast<int>(rng_.NextBits() % 4)};
    log_.Write(now_, activation);
    twin_.Activate(activation, now_);
  }
  void DoHappen() {
    constexpr EventKind kKinds[] = {EventKind::kClick, EventKind::kPurchase, EventKind::kDismiss, EventKind::kRefund};
    Event event = EventFor(Recent(), kKinds[rng_.NextBits() % 4], "");
    event.time = now_ - static_cast<TimeMicros>(rng_.NextBits() % 60) * kSecond;
    if (rng_.NextUniform() < 0.5) event.offer_id = OfferId(absl::StrCat("o", rng_.NextBits() % 5));
    for (uint64_t n = rng_.NextBits() % 3; n-- > 0;) {
      event.lines.push_back({absl::StrCat("i", rng_.NextBits() % 7), 1, static_cast<int64_t>(rng_.NextBits() % 30'000'000)});
    }
    event.fate = log_.fold.Classify(event, log_.fold.state().now, true);
    EXPECT_EQ(event.fate == Fate::kLate, log_.fold.FindOpen(event.decision_id) == nullptr);
    log_.Write(now_, event);
    twin_.Happen(event, now_);
  }

  JoinReference twin_;
  std::vector<std::string> ids_;
};

TEST_F(FoldTwinTest, SumsOfRewardsEqualAPlainJoinAndAFullRefit) {
  placement_.reward.weights[static_cast<int>(EventKind::kRefund)] = -5;
  placement_.reward.counts[static_cast<int>(EventKind::kRefund)] = true;
  placement_.reward.default_reward = 0.25;
  Run(1'500, 5);
  ExpectLearned(learning(), twin_);
  EXPECT_GT(counters().rewarded, 100);
  EXPECT_GT(counters().outside_window, 10);
  EXPECT_GT(counters().unmatched, 10);
  EXPECT_GT(counters().events[static_cast<size_t>(EventKind::kClick)][static_cast<size_t>(Fate::kLate)], 0);
}

TEST_F(FoldTwinTest, TheLargestRewardEqualsAPlainJoinAndAFullRefit) {
  placement_.reward.aggregation = RewardSpec::Aggregation::kMax;
  placement_.reward.weights[static_cast<int>(EventKind::kDismiss)] = -1;
  placement_.reward.counts[static_cast<int>(EventKind::kDismiss)] = true;
  Run(1'500, 5);
  ExpectLearned(learning(), twin_);
}

TEST_F(FoldTwinTest, RevenueOfCoveredLinesEqualsAPlainJoinAndAFullRefit) {
  placement_.reward = RewardSpec();
  placement_.reward.value = RewardSpec::Value::kRevenue;
  placement_.reward.value_cap = 20;
  placement_.reward.weights[static_cast<int>(EventKind::kPurchase)] = 1;
  placement_.reward.counts[static_cast<int>(EventKind::kPurchase)] = true;
  Run(1'500, 5);
  ExpectLearned(learning(), twin_);
  EXPECT_GT(counters().rewarded, 50);
}

TEST_F(FoldTwinTest, APublicationIsTheRidgeEstimateOfTheJoin) {
  model_.half_life_days = 0.01;
  placement_.window_seconds = 5'000;
  Run(600, 60);
  ExpectLearned(learning(), twin_);
  const auto record = log_.fold.Prepare("model", false);
  ASSERT_OK(record);
  EXPECT_EQ(record->reference_micros, twin_.Newest());
  log_.Write(now_, *record);
  const LinearPolicy& published = log_.state().FindPolicy("model")->in_force->policy;
  const LinearReference expected = twin_.Slots();
  const LinearReference::Vector theta = expected.Theta(3, 1, 1);
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(published.theta()[i], static_cast<double>(theta[i]), 1e-9);
  EXPECT_NEAR(published.sigma(), expected.Sigma(3, 1, 1, 0.5), 1e-9);
}

TEST_F(FoldTwinTest, ForgettingEqualsDirectWeightsHoweverFarTimeMoves) {
  model_.half_life_days = 0.5;
  placement_.window_seconds = 400 * 86'400;
  Run(500, 86'400);        // t0 moves several times while decisions are open
  EXPECT_GT(learning().half_lives, 64);
  ExpectLearned(learning(), twin_);
}

TEST_F(FoldTwinTest, AfterThousandsOfHalfLivesTheNextDecisionIsLearnedInFull) {
  model_.half_life_days = 0.5;
  Run(50, 60);
  now_ += 3'000 * kMicrosPerDay;  // 6,000 half-lives
  for (int i = 0; i < 20; ++i) {
    DoDecide();
    DoHappen();
  }
  EXPECT_EQ(counters().refused_updates, 0);
  ExpectLearned(learning(), twin_);
}

TEST_F(FoldTest, LearnsTheSameBitsAsStatisticsFedDirectlyInLogOrder) {
  SetUpShop();
  LinearStatistics direct(3);
  std::vector<DecisionChange> decisions;
  std::vector<double> rewards;
  for (int i = 0; i < 200; ++i) {
    now_ += kSecond;
    if (i % 3 == 0) {
      decisions.push_back(MakeDecision(absl::StrCat("d", i), {"o1"}));
      rewards.push_back(0);
      log_.Write(now_, decisions.back());
      ASSERT_OK(direct.AddShown(decisions.back().slots[0].x, {}, 0));
    } else {
      const size_t at = decisions.size() - 1 - rng_.NextBits() % std::min<size_t>(decisions.size(), 5);
      log_.Write(now_, EventFor(decisions[at].id.value(), EventKind::kClick, "o1"));
      ASSERT_OK(direct.ApplyReward(decisions[at].slots[0].x, {}, rewards[at], rewards[at] + 1));
      ++rewards[at];
    }
  }
  EXPECT_EQ(statistics().Checksum(), direct.Checksum());
}

TEST_F(FoldTest, ASequenceGapIsDataLossAndChangesNothing) {
  SetUpShop();
  LogEntry entry;
  entry.change = PlacementDeleted{"home"};
  for (const Sequence wrong : {Sequence{0}, log_.state().sequence, log_.state().sequence + 2}) {
    entry.sequence = wrong;
    EXPECT_THAT(log_.fold.Apply(entry), StatusIs(absl::StatusCode::kDataLoss, "expected sequence 4"));
  }
  EXPECT_NE(log_.state().FindPlacement("home"), nullptr);
  EXPECT_EQ(log_.state().sequence, 3u);
}

TEST_F(FoldTest, TheWindowIsInclusiveAndLatenessToo) {
  SetUpShop();
  Decide("d", {"o1"});
  const TimeMicros shown = now_;
  Event event = EventFor("d", EventKind::kClick, "o1");
  event.time = shown + 100 * kSecond;
  now_ = shown + 150 * kSecond;  // the last moment to arrive
  log_.Write(now_, event);
  EXPECT_EQ(Earned("d"), 1);
  ++event.time;
  log_.Write(now_, event);
  EXPECT_EQ(Earned("d"), 1);
  EXPECT_EQ(counters().outside_window, 1);
  EXPECT_EQ(log_.fold.Classify(event, log_.fold.state().now, true), Fate::kApplied);
  log_.Write(now_ + 1, ItemDeleted{ItemId("any record moves time")});
  EXPECT_EQ(log_.fold.FindOpen(DecisionId("d")), nullptr);
  EXPECT_EQ(log_.fold.Classify(event, log_.fold.state().now, true), Fate::kLate);
  EXPECT_EQ(counters().closed, 1);
  EXPECT_EQ(log_.state().num_open, 0);
}

TEST_F(FoldTest, ADecisionKeepsThePlacementItWasMadeUnder) {
  SetUpShop();
  Decide("d", {"o1"});
  placement_.window_seconds = 1;
  placement_.reward.weights[static_cast<int>(EventKind::kClick)] = 7;
  log_.Write(now_, PlacementSet{placement_});
  now_ += 50 * kSecond;
  log_.Write(now_, EventFor("d", EventKind::kClick, "o1"));
  EXPECT_EQ(Earned("d"), 1);
}

class SmallFoldTest : public FoldTest {
 protected:
  SmallFoldTest() : FoldTest(FoldLimits{16'384, 3}) {}
};

TEST_F(SmallFoldTest, RoomForOpenDecisionsIsBoundedAndTheFirstToCloseLeaves) {
  SetUpShop();
  for (int i = 0; i < 5; ++i) {
    now_ += kSecond;
    Decide(absl::StrCat("d", i), {"o1"});
  }
  EXPECT_EQ(log_.state().num_open, 3);
  EXPECT_EQ(counters().closed_early, 2);
  EXPECT_EQ(log_.fold.FindOpen(DecisionId("d1")), nullptr);
  EXPECT_NE(log_.fold.FindOpen(DecisionId("d2")), nullptr);
  EXPECT_EQ(statistics().num_shown(), 5);  // what was learned stays
  now_ += 1'000 * kSecond;
  Decide("last", {"o1"});
  EXPECT_EQ(counters().closed, 3);
  EXPECT_EQ(log_.state().num_open, 1);
}

TEST_F(FoldTest, ADeferredDecisionCountsWhenItIsActivated) {
  SetUpShop();
  DecisionChange change = MakeDecision("d", {"o1", "o2", "o3"});
  change.deferred = true;
  log_.Write(now_, change);
  EXPECT_EQ(statistics().num_shown(), 0);
  log_.Write(now_, EventFor("d", EventKind::kClick, "o1"));  // nothing was shown
  EXPECT_EQ(counters().unmatched, 1);
  log_.Write(now_, Activation{DecisionId("d"), {0, 2, 2, -1, 99}});
  EXPECT_EQ(statistics().num_shown(), 2);
  log_.Write(now_, Activation{DecisionId("d"), {}});
  log_.Write(now_, Activation{DecisionId("d"), {}});
  EXPECT_EQ(statistics().num_shown(), 3);
  log_.Write(now_, Activation{DecisionId("unknown"), {}});
  EXPECT_EQ(counters().activations, 3);
}

TEST_F(FoldTest, ADecisionFoldedTwiceCountsOnce) {
  SetUpShop();
  const DecisionChange change = MakeDecision("d", {"o1"});
  log_.Write(now_, change);
  log_.Write(now_, change);
  EXPECT_EQ(statistics().num_shown(), 1);
  EXPECT_EQ(log_.state().num_open, 1);
}

TEST_F(FoldTest, AModelDoesNotLearnFromDecisionsOfAnother) {
  SetUpShop();
  Decide("before", {"o1"});
  DecisionChange deferred = MakeDecision("deferred", {"o1"});
  deferred.deferred = true;
  log_.Write(now_, deferred);
  DecisionChange in_flight = MakeDecision("in flight", {"o1"});
  model_.features.features[2].multiplier = 2;
  log_.Write(now_, PolicySet{model_});
  EXPECT_EQ(statistics().num_shown(), 0);
  const uint64_t empty = statistics().Checksum();
  log_.Write(now_, in_flight);  // decided by the old model, logged after the new one
  log_.Write(now_, EventFor("before", EventKind::kClick, "o1"));
  log_.Write(now_, EventFor("in flight", EventKind::kClick, "o1"));
  log_.Write(now_, Activation{DecisionId("deferred"), {}});
  log_.Write(now_, EventFor("deferred", EventKind::kClick, "o1"));
  EXPECT_EQ(statistics().Checksum(), empty);
  EXPECT_EQ(Earned("before"), 1);
  Decide("after", {"o1"});
  EXPECT_EQ(statistics().num_shown(), 1);
}

TEST_F(FoldTest, AnotherRidgeKeepsTheModelAndAnotherHalfLifeBeginsOne) {
  SetUpShop();
  Decide("d", {"o1"});
  const Sequence model = model_sequence();
  model_.ridge = 3;
  model_.ridge_set = true;
  log_.Write(now_, PolicySet{model_});
  EXPECT_EQ(model_sequence(), model);
  EXPECT_EQ(statistics().num_shown(), 1);
  EXPECT_TRUE(log_.fold.HasNews("model"));
  EXPECT_EQ(log_.fold.Prepare("model", false)->lambda, 3);
  model_.half_life_days = 30;
  log_.Write(now_, PolicySet{model_});
  EXPECT_NE(model_sequence(), model);
  EXPECT_EQ(statistics().num_shown(), 0);
}

void ExpectSamePublication(const PolicyState& a, const PolicyState& b) {
  EXPECT_EQ(a.newest_version, b.newest_version);
  EXPECT_EQ(a.is_pinned, b.is_pinned);
  EXPECT_EQ(a.kept.size(), b.kept.size());
  ASSERT_NE(a.in_force, nullptr);
  ASSERT_NE(b.in_force, nullptr);
  const PublishedPolicy& x = *a.in_force;
  const PublishedPolicy& y = *b.in_force;
  EXPECT_EQ(x.record.version, y.record.version);
  EXPECT_EQ(std::memcmp(&x.record.sigma, &y.record.sigma, sizeof(double)), 0);
  ASSERT_EQ(x.policy.coefficients().size(), y.policy.coefficients().size());
  EXPECT_EQ(std::memcmp(x.policy.coefficients().data(), y.policy.coefficients().data(),
                        static_cast<size_t>(x.policy.coefficients().size()) * sizeof(float)), 0);
  EXPECT_EQ(std::memcmp(x.policy.theta().data(), y.policy.theta().data(), static_cast<size_t>(x.policy.dim()) * sizeof(double)), 0);
}

TEST_F(FoldTwinTest, AReplayPublishesTheSameBitsAsTheFoldThatPrepared) {
  model_.half_life_days = 0.01;
  SetUpShop();
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 10; ++i) {
      now_ += 20 * kSecond;
      DoDecide();
      DoHappen();
    }
    const auto record = log_.fold.Prepare("model", round % 5 == 0);
    ASSERT_OK(record);
    if (round % 4 == 3) Decide(absl::StrCat("between", round), {"o1"});  // then the record is not the next one
    log_.Write(now_, *record);
    if (round == 12) log_.Write(now_, RollBack{"model", record->version - 2});
  }
  Fold replay(FoldLimits{});
  for (const LogEntry& entry : log_.entries) ASSERT_OK(replay.Apply(entry));
  EXPECT_EQ(replay.learning().at("model").statistics.Checksum(), statistics().Checksum());
  ExpectSamePublication(*replay.state().FindPolicy("model"), *log_.state().FindPolicy("model"));
  std::vector<int64_t> first, second;
  Counters a = counters(), b = replay.state().counters;
  a.ForEach([&](int64_t count) { first.push_back(count); });
  b.ForEach([&](int64_t count) { second.push_back(count); });
  EXPECT_EQ(first, second);
  EXPECT_EQ(first.size(), 18u - 1 + kNumEventKinds * kNumFates);
}

TEST_F(FoldTest, APublicationIsInForceFromItsRecordOn) {
  SetUpShop();
  const PolicyState* before = log_.state().FindPolicy("model");
  ASSERT_NE(before->in_force, nullptr);  // an empty model explores at once
  EXPECT_EQ(before->in_force->record.version, 1u);
  EXPECT_EQ(before->in_force->policy.sigma(), 0.5);
  Decide("d", {"o1"});
  EXPECT_TRUE(log_.fold.HasNews("model"));
  const State pinned = log_.state();
  const auto record = log_.fold.Prepare("model", true);
  ASSERT_OK(record);
  EXPECT_EQ(log_.state().FindPolicy("model")->in_force->record.version, 1u);
  log_.Write(now_, *record);
  EXPECT_EQ(log_.state().FindPolicy("model")->in_force->record.version, 2u);
  EXPECT_EQ(log_.state().FindPolicy("model")->kept.size(), 1u);
  EXPECT_FALSE(log_.fold.HasNews("model"));
  EXPECT_EQ(pinned.FindPolicy("model")->in_force->record.version, 1u);  // a copy stays as it was
}

TEST_F(FoldTest, PrepareNeedsAPolicyThatLearns) {
  EXPECT_THAT(log_.fold.Prepare("nobody", true), StatusIs(absl::StatusCode::kNotFound, "nobody"));
  log_.Write(now_, PolicySet{MakeFixed("rules")});
  EXPECT_THAT(log_.fold.Prepare("rules", true), StatusIs(absl::StatusCode::kFailedPrecondition, "rules"));
  EXPECT_FALSE(log_.fold.HasNews("rules"));
}

TEST_F(FoldTest, ARollBackPinsUntilTheNextKeptPublication) {
  SetUpShop();
  const auto publish = [this](bool kept) {
    Decide(absl::StrCat("d", log_.state().sequence), {"o1"});
    const auto record = log_.fold.Prepare("model", kept);
    ASSERT_OK(record);
    log_.Write(now_, *record);
  };
  const auto in_force = [this] { return log_.state().FindPolicy("model")->in_force->record.version; };
  publish(true);   // 2
  publish(true);   // 3
  publish(false);  // 4
  EXPECT_EQ(in_force(), 4u);
  log_.Write(now_, RollBack{"model", 4});  // not kept: nothing happens
  EXPECT_FALSE(log_.state().FindPolicy("model")->is_pinned);
  log_.Write(now_, RollBack{"model", 2});
  EXPECT_EQ(in_force(), 2u);
  EXPECT_TRUE(log_.state().FindPolicy("model")->is_pinned);
  publish(false);
  EXPECT_EQ(in_force(), 2u);
  EXPECT_EQ(log_.state().FindPolicy("model")->newest_version, 5u);
  publish(true);
  EXPECT_EQ(in_force(), 6u);
  EXPECT_FALSE(log_.state().FindPolicy("model")->is_pinned);
}

TEST_F(FoldTest, TheOldestOfSeventeenKeptPublicationsIsGone) {
  SetUpShop();
  for (int i = 0; i < 17; ++i) log_.Write(now_, *log_.fold.Prepare("model", true));
  const PolicyState* policy = log_.state().FindPolicy("model");
  ASSERT_EQ(policy->kept.size(), PolicyState::kMaxKept);
  EXPECT_EQ(policy->kept.front()->record.version, 3u);
  EXPECT_EQ(policy->kept.back()->record.version, 18u);
}

TEST_F(FoldTest, APolicyThatBecomesFixedForgetsItsModel) {
  SetUpShop();
  Decide("d", {"o1"});
  log_.Write(now_, PolicySet{MakeFixed("model")});
  EXPECT_EQ(log_.state().FindPolicy("model")->in_force, nullptr);
  EXPECT_EQ(log_.fold.learning().count("model"), 0u);
  log_.Write(now_, EventFor("d", EventKind::kClick, "o1"));
  EXPECT_EQ(Earned("d"), 1);
  log_.Write(now_, PolicySet{model_});
  EXPECT_EQ(statistics().num_shown(), 0);
  EXPECT_EQ(log_.state().FindPolicy("model")->in_force->record.version, 2u);  // numbers go on
}

TEST_F(FoldTest, ANewModelThatCannotBePublishedLeavesNothingOfTheOldInForce) {
  placement_.reward.largest = 1e300;
  log_.Write(now_, PolicySet{model_});
  log_.Write(now_, PlacementSet{placement_});
  model_.features.features.pop_back();  // another d
  log_.Write(now_, PolicySet{model_});
  EXPECT_EQ(counters().failed_publications, 1);
  EXPECT_EQ(log_.state().FindPolicy("model")->in_force, nullptr);
}

TEST_F(FoldTest, ThePriorDeviationIsHalfTheLargestDeclaredReward) {
  placement_.reward.largest = 40;
  SetUpShop();
  EXPECT_TRUE(log_.fold.HasNews("model"));
  EXPECT_EQ(log_.fold.Prepare("model", false)->sigma, 20);
  log_.Write(now_, PlacementDeleted{"home"});
  EXPECT_EQ(log_.fold.Prepare("model", false)->sigma, 0.5);
}

TEST_F(FoldTest, ClassifyTable) {
  SetUpShop();
  Decide("open", {"o1"});
  struct Row {
    const char* decision;
    bool history;
    bool knows_decision;
    Fate expected;
  };
  for (const Row& row : {Row{"", false, false, Fate::kApplied}, Row{"open", false, true, Fate::kApplied},
                         Row{"open", false, false, Fate::kApplied}, Row{"gone", false, true, Fate::kLate},
                         Row{"gone", false, false, Fate::kOrphan}, Row{"gone", true, true, Fate::kApplied},
                         Row{"gone", true, false, Fate::kApplied}}) {
    Event event = EventFor(row.decision, EventKind::kClick, "o1");
    event.history = row.history;
    EXPECT_EQ(log_.fold.Classify(event, log_.fold.state().now, row.knows_decision), row.expected) << row.decision << row.history << row.knows_decision;
  }
}

TEST_F(FoldTest, OnlyAppliedEventsEarnAndOrphansReachTheProfile) {
  SetUpShop();
  Decide("d", {"o1"});
  for (int fate = 0; fate < kNumFates; ++fate) {
    Event event = MakePurchase(absl::StrCat("c", fate), now_, {"i1"});
    event.decision_id = DecisionId("d");
    event.fate = static_cast<Fate>(fate);
    log_.Write(now_, event);
    EXPECT_EQ(counters().events[static_cast<size_t>(EventKind::kPurchase)][static_cast<size_t>(fate)], 1);
    const bool reaches_profile = event.fate == Fate::kApplied || event.fate == Fate::kOrphan;
    EXPECT_EQ(log_.state().customers.Find(event.customer_id.value()) != nullptr, reaches_profile) << fate;
  }
  EXPECT_EQ(Earned("d"), 5);  // one purchase
  EXPECT_EQ(counters().rewarded, 1);
}

TEST_F(FoldTest, HistoryFillsProfilesAndEarnsNothing) {
  SetUpShop();
  Decide("d", {"o1"});
  Event event = MakePurchase("c", now_ - 300 * kMicrosPerDay, {"i1"});
  event.decision_id = DecisionId("d");
  event.history = true;
  log_.Write(now_, event);
  EXPECT_EQ(log_.state().customers.Find("c")->num_visits(), 1u);
  EXPECT_EQ(counters().rewarded, 0);
  EXPECT_EQ(log_.state().now, now_);
}

TEST_F(FoldTest, AnEventWithoutOfferOrLinesBelongsToTheOnlySlot) {
  SetUpShop();
  Decide("one", {"o1"});
  Decide("two", {"o1", "o2"});
  log_.Write(now_, EventFor("one", EventKind::kClick, ""));
  log_.Write(now_, EventFor("two", EventKind::kClick, ""));
  EXPECT_EQ(Earned("one"), 1);
  EXPECT_EQ(counters().unmatched, 1);
}

TEST_F(FoldTest, LinesCountWithoutACatalogueWhenTheItemIsTheOffer) {
  SetUpShop();
  Decide("d", {"not in the catalogue"});
  Event event = MakePurchase("c", now_, {"not in the catalogue"});
  event.decision_id = DecisionId("d");
  log_.Write(now_, event);
  EXPECT_EQ(Earned("d"), 5);
}

TEST_F(FoldTest, PurchasesUseStockAndBudgetWhetherOrNotTheyEarn) {
  placement_.reward.counts[static_cast<int>(EventKind::kPurchase)] = false;
  SetUpShop();
  Decide("d", {"o1", "o3"});
  for (int i = 0; i < 2; ++i) {
    Event event = MakePurchase("c", now_, {"i2"});
    event.decision_id = DecisionId("d");
    log_.Write(now_, event);
  }
  log_.Write(now_, EventFor("d", EventKind::kClick, "o1"));
  const Catalogue& catalogue = log_.state().catalogue;
  EXPECT_EQ(catalogue.UseOf(catalogue.FindOffer("o1")).redemptions, 2);
  EXPECT_EQ(catalogue.UseOf(catalogue.FindOffer("o1")).spent_micros, 500'000);
  EXPECT_EQ(catalogue.UseOf(catalogue.FindOffer("o3")).redemptions, 0);
  EXPECT_EQ(Earned("d"), 1);
}

TEST_F(FoldTest, ErasingACustomerForgetsTheProfileAndKeepsWhatWasLearned) {
  SetUpShop();
  Decide("d", {"o1"});
  Event event = MakePurchase("c", now_, {"i1"});
  event.decision_id = DecisionId("d");
  log_.Write(now_, event);
  const uint64_t learned = statistics().Checksum();
  const double rate = log_.state().population.OfferRates(OfferIndex{1}, now_).slow;
  const State before = log_.state();
  log_.Write(now_, CustomerErased{CustomerId("c")});
  log_.Write(now_, CustomerErased{CustomerId("c")});
  EXPECT_EQ(log_.state().customers.Find("c"), nullptr);
  EXPECT_NE(before.customers.Find("c"), nullptr);
  EXPECT_EQ(statistics().Checksum(), learned);
  EXPECT_EQ(log_.state().population.OfferRates(OfferIndex{1}, now_).slow, rate);
}

TEST_F(FoldTest, ACustomersAttributesDoNotTouchTheVisits) {
  SetUpShop();
  log_.Write(now_, MakePurchase("c", now_, {"i1"}));
  EXPECT_FALSE(log_.state().customers.Find("c")->registered);
  EXPECT_EQ(log_.state().customers.Find("c")->customer.id, CustomerId("c"));
  Customer customer;
  customer.id = CustomerId("c");
  customer.audiences = {"vip"};
  log_.Write(now_, CustomersUpserted{{customer}});
  EXPECT_TRUE(log_.state().customers.Find("c")->registered);
  EXPECT_EQ(log_.state().customers.Find("c")->num_visits(), 1u);
}

TEST_F(FoldTest, UnknownNamesAreHarmless) {
  SetUpShop();
  const uint64_t learned = statistics().Checksum();
  DecisionChange no_placement = MakeDecision("a", {"o1"});
  no_placement.placement = "nowhere";
  DecisionChange no_learner = MakeDecision("b", {"o1", "no such offer"});
  no_learner.learner = "nobody";
  DecisionChange wrong_size = MakeDecision("c", {"o1"});
  wrong_size.slots[0].x.resize(7);
  wrong_size.slots[0].x.setOnes();
  DecisionChange nothing = MakeDecision("d", {});
  for (const DecisionChange& change : {no_placement, no_learner, wrong_size, nothing}) log_.Write(now_, change);
  for (const char* id : {"a", "b", "c", "d", "never heard of"}) log_.Write(now_, EventFor(id, EventKind::kPurchase, "o1"));
  Publication publication;
  publication.policy = "nobody";
  log_.Write(now_, publication);
  log_.Write(now_, RollBack{"nobody", 1});
  log_.Write(now_, PlacementDeleted{"nowhere"});
  log_.Write(now_, OfferDeleted{OfferId("nothing")});
  log_.Write(now_, CustomerErased{CustomerId("nobody")});
  EXPECT_EQ(statistics().Checksum(), learned);
  EXPECT_EQ(log_.state().num_open, 3);
  EXPECT_EQ(counters().failed_publications, 0);
}

TEST_F(FoldTest, NumbersThatAreNotFiniteCannotEnter) {
  SetUpShop();
  Decide("good", {"o1"});
  const uint64_t learned = statistics().Checksum();
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    DecisionChange change = MakeDecision(absl::StrCat("bad", bad), {"o1"});
    change.slots[0].x[1] = bad;
    log_.Write(now_, change);
    log_.Write(now_, EventFor(change.id.value(), EventKind::kClick, "o1"));
  }
  EXPECT_EQ(counters().refused_updates, 2);
  EXPECT_EQ(statistics().Checksum(), learned);
  Decide("next", {"o1"});
  EXPECT_EQ(statistics().num_shown(), 2);
  EXPECT_OK(log_.fold.Prepare("model", false));
}

TEST_F(FoldTest, ARewardTooLargeToLearnIsRefusedAndTheNextOnesCountAsBefore) {
  placement_.reward.weights[static_cast<int>(EventKind::kDismiss)] = 1e200;  // its square is not a number
  placement_.reward.counts[static_cast<int>(EventKind::kDismiss)] = true;
  SetUpShop();
  DecisionChange decision = MakeDecision("d", {"o1"});
  log_.Write(now_, decision);
  log_.Write(now_, EventFor("d", EventKind::kClick, "o1"));
  log_.Write(now_, EventFor("d", EventKind::kDismiss, "o1"));
  EXPECT_EQ(counters().refused_updates, 1);
  log_.Write(now_, EventFor("d", EventKind::kPurchase, "o1"));
  LinearStatistics direct(3);
  ASSERT_OK(direct.AddShown(decision.slots[0].x, {}, 0));
  ASSERT_OK(direct.ApplyReward(decision.slots[0].x, {}, 0, 1));
  ASSERT_OK(direct.ApplyReward(decision.slots[0].x, {}, 1, 6));
  EXPECT_EQ(statistics().Checksum(), direct.Checksum());
}

TEST_F(FoldTest, AnImageGoesOnLikeTheFoldItWasTakenFrom) {
  model_.half_life_days = 0.001;
  SetUpShop();
  for (int i = 0; i < 30; ++i) {
    now_ += 10 * kSecond;
    Decide(absl::StrCat("d", i), {"o1", "o2"});
    log_.Write(now_, EventFor(absl::StrCat("d", i), EventKind::kClick, "o2"));
  }
  const FoldImage image = log_.fold.Image();
  Fold restored(FoldLimits{});
  restored.MutableState() = image.state;
  for (const auto& [name, learned] : image.learning) restored.RestoreLearning(name, learned);
  image.open.ForEach([&](absl::string_view id, const OpenDecision& open) { restored.RestoreOpen(DecisionId(id), open); });
  const size_t at = log_.entries.size();
  for (int i = 30; i < 60; ++i) {
    now_ += 10 * kSecond;
    Decide(absl::StrCat("d", i), {"o1", "o2"});
    log_.Write(now_, EventFor(absl::StrCat("d", i - 5), EventKind::kPurchase, "o1"));
  }
  for (size_t i = at; i < log_.entries.size(); ++i) ASSERT_OK(restored.Apply(log_.entries[i]));
  EXPECT_EQ(restored.learning().at("model").statistics.Checksum(), statistics().Checksum());
  EXPECT_EQ(restored.state().num_open, log_.state().num_open);
  EXPECT_EQ(restored.state().counters.closed, counters().closed);
}

}  // namespace
}  // namespace offerd
