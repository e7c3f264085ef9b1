// How likely slots are looked at, estimated from the randomised share: the sums by themselves, in the fold, and in a made-up shop.
#include "core/learn/examination.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/decide.h"
#include "core/learn/fold.h"
#include "core/rng.h"
#include "tests/core/log_writer.h"

namespace offerd {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

constexpr TimeMicros kSecond = kMicrosPerSecond;

// ---- the sums ----

TEST(ExaminationSumsTest, WeightsAreRatiosToTheFirstSlotDrawnTowardsWhatIsDeclared) {
  ExaminationSums sums;
  for (int i = 0; i < 1000; ++i) sums.AddShown(0, 0.5, 0.4, i % 5 < 2 ? 3 : 0);  // 400 rewards that add 1.5 each; S = 200, R = 600
  for (int i = 0; i < 500; ++i) sums.AddShown(1, 1, 0.5, i % 5 < 1 ? 3 : 0);     // S = 250, R = 300
  EXPECT_DOUBLE_EQ(sums.NumRewards(), 400);
  // Prior 20 x 1.5, S R_1 / S_1 = 750.
  EXPECT_THAT(sums.Weights({}, 3), ElementsAre(1, DoubleNear(330.0 / 780, 1e-12), 1)) << "of the third nothing is known";
  EXPECT_THAT(sums.Weights({1, 0.5, 0.25}, 4), ElementsAre(1, DoubleNear(315.0 / 780, 1e-12), 0.25, 0.25));
  EXPECT_THAT(sums.Weights({0.5}, 2), ElementsAre(0.5, DoubleNear((0.5 * 300 + 15) / 780, 1e-12))) << "the first one's is declared";
}

TEST(ExaminationSumsTest, TheUnitOfRewardsDoesNotMatter) {
  ExaminationSums clicks, money;
  for (int i = 0; i < 300; ++i) {
    for (size_t slot = 0; slot < 2; ++slot) {
      const double reward = i % (slot == 0 ? 3 : 9) == 0 ? 1 : 0;
      clicks.AddShown(slot, 0.7, 0.3, reward);
      money.AddShown(slot, 0.7, 0.3 * 250, reward * 250);
    }
  }
  EXPECT_NEAR(clicks.Weights({}, 2)[1], money.Weights({}, 2)[1], 1e-12);
  EXPECT_LT(clicks.Weights({}, 2)[1], 1);
}

TEST(ExaminationSumsTest, WhatIsDeclaredStandsUntilEnoughIsKnown) {
  ExaminationSums sums;
  EXPECT_THAT(sums.Weights({}, 2), ElementsAre(1, 1));
  EXPECT_TRUE(sums.Weights({}, 0).empty());
  for (int i = 0; i < 19; ++i) sums.AddShown(0, 1, 1, 1);
  sums.AddShown(1, 1, 100, 0);
  EXPECT_THAT(sums.Weights({1, 0.5}, 2), ElementsAre(1, 0.5)) << "19 rewards";
  sums.AddShown(0, 1, 1, 1);
  EXPECT_LT(sums.Weights({1, 0.5}, 2)[1], 0.5) << "20 rewards";
  sums.AddShown(0, 1, -50, 0);
  EXPECT_THAT(sums.Weights({1, 0.5}, 2), ElementsAre(1, 0.5)) << "estimates of the first slot sum to less than 0";
  ExaminationSums losses;
  for (int i = 0; i < 100; ++i) losses.AddShown(0, 1, 1, -1);
  losses.AddShown(1, 1, 100, 0);
  EXPECT_THAT(losses.Weights({1, 0.5}, 2), ElementsAre(1, 0.5)) << "rewards of the first slot are none";
  ExaminationSums no_estimate;
  for (int i = 0; i < 100; ++i) no_estimate.AddShown(0, 1, 1, 1);
  no_estimate.AddShown(1, 1, -1, 1);
  EXPECT_THAT(no_estimate.Weights({1, 0.5}, 2), ElementsAre(1, 0.5)) << "estimates of the second slot are";
}

TEST(ExaminationSumsTest, WeightsStayWithinOneHundredthAndOne) {
  ExaminationSums sums;
  for (int i = 0; i < 1000; ++i) {
    sums.AddShown(0, 1, 1, 1);
    sums.AddShown(1, 1, 1, 3);
    sums.AddShown(2, 1, 1, -2);
  }
  EXPECT_THAT(sums.Weights({}, 3), ElementsAre(1, 1, 0.01));
}

// ---- in the fold ----

class ExaminationTest : public ::testing::Test {
 protected:
  ExaminationTest() {
    placement_ = MakePlacement("home", "model");
    placement_.window_seconds = 1000;
    placement_.max_lateness_seconds = 500;
    placement_.randomised_share = {0.25, RandomKind::kUniform, 0};
    placement_.estimate_examination = true;
  }
  void SetUpShop() {
    log_->Write(now_, PolicySet{MakeLinear("model")});
    log_->Write(now_, PlacementSet{placement_});
  }
  // The model has seen something: before that it says nothing.
  void Teach() {
    Decide("taught", {std::nullopt});
    log_->Write(now_, MakeClick("taught", "o0", "taught"));
    log_->Write(now_, *log_->fold.Prepare("model", true));
  }
  // A decision with a slot for each ratio of probabilities; x = (1, slot, 0).
  void Decide(const std::string& id, const std::vector<std::optional<double>>& ratios, bool deferred = false) {
    DecisionChange change;
    change.id = DecisionId(id);
    change.placement = "home";
    change.placement_sequence = log_->state().FindPlacement("home")->sequence;
    change.learner = "model";
    change.learner_sequence = log_->state().FindPolicy("model")->model_sequence;
    change.deferred = deferred;
    for (size_t slot = 0; slot < ratios.size(); ++slot) {
      Eigen::VectorXf x(3);
      x << 1.0f, static_cast<float>(slot), 0.0f;
      change.slots.push_back({OfferId(absl::StrCat("o", slot)), x, 0, ratios[slot]});
    }
    log_->Write(now_, change);
  }
  Event MakeClick(const std::string& decision, const std::string& offer, const std::string& id) {
    Event event = MakeEvent(EventKind::kClick, now_);
    event.id = EventId(id);
    event.decision_id = DecisionId(decision);
    event.offer_id = OfferId(offer);
    return event;
  }
  const ExaminationSums* sums() { return log_->state().examinations.Find("home"); }
  double Estimate(size_t slot) {
    const Eigen::VectorXd& theta = log_->state().FindPolicy("model")->in_force->policy.theta();
    return theta[0] + static_cast<double>(slot) * theta[1];
  }

  std::unique_ptr<LogWriter> log_ = std::make_unique<LogWriter>();
  TimeMicros now_ = kDayZero;
  Placement placement_;
};

TEST_F(ExaminationTest, ASlotCountsByTheProbabilityThatTheShareDrewIt) {
  SetUpShop();
  Teach();
  Decide("d", {0.0, 1.0, 0.4, std::nullopt});  // w = 1 - 0.75 x ratio; the last was not drawn
  ASSERT_EQ(sums()->slots().size(), 3u);
  for (size_t slot = 0; slot < 3; ++slot) {
    const double weight = std::vector<double>{1, 0.25, 0.7}[slot];
    EXPECT_DOUBLE_EQ(sums()->slots()[slot].estimate, weight * Estimate(slot)) << slot;
    EXPECT_EQ(sums()->slots()[slot].reward, 0);
  }
  log_->Write(now_, MakeClick("d", "o2", "e"));
  log_->Write(now_, MakeClick("d", "o3", "f"));
  EXPECT_DOUBLE_EQ(sums()->slots()[2].reward, 0.7);
  EXPECT_EQ(sums()->slots().size(), 3u);
}

TEST_F(ExaminationTest, SlotsThatAreNotShownAndModelsThatHaveSeenNothingSayNothing) {
  SetUpShop();
  Decide("early", {0.5, 0.5});
  log_->Write(now_, MakeClick("early", "o0", "e"));
  EXPECT_TRUE(sums()->slots().empty()) << "the model had seen nothing";
  log_->Write(now_, *log_->fold.Prepare("model", true));
  log_->Write(now_, MakeClick("early", "o1", "f"));
  EXPECT_TRUE(sums()->slots().empty()) << "nor does what such a slot earns later count";
  Decide("d", {0.5, 0.5, 0.5}, true);
  EXPECT_TRUE(sums()->slots().empty());
  log_->Write(now_, Activation{DecisionId("d"), {1}});
  ASSERT_EQ(sums()->slots().size(), 2u);
  EXPECT_EQ(sums()->slots()[0].estimate, 0);
  EXPECT_NE(sums()->slots()[1].estimate, 0);
}

TEST_F(ExaminationTest, ADecisionOfAnotherVersionOfThePlacementDoesNotCount) {
  SetUpShop();
  Teach();
  DecisionChange change;
  change.id = DecisionId("d");
  change.placement = "home";
  change.placement_sequence = log_->state().FindPlacement("home")->sequence - 1;  // its share may have been another one
  change.learner = "model";
  change.learner_sequence = log_->state().FindPolicy("model")->model_sequence;
  change.slots.push_back({OfferId("o0"), Eigen::VectorXf::Constant(3, 1), 0, 0.5});
  log_->Write(now_, change);
  EXPECT_TRUE(sums()->slots().empty());
}

TEST_F(ExaminationTest, SumsBeginAnewWhenRewardsBecomeSomethingElseAndOldDecisionsStayOut) {
  SetUpShop();
  Teach();
  Decide("d", {0.5});
  const double estimate = sums()->slots()[0].estimate;
  placement_.slate_size = 3;
  placement_.reward.largest = 9;
  placement_.reward.late_policy = RewardSpec::LatePolicy::kProfile;
  placement_.examination = {1, 0.5};
  log_->Write(now_, PlacementSet{placement_});
  EXPECT_EQ(sums()->slots()[0].estimate, estimate) << "rewards are what they were";
  log_->Write(now_, MakeClick("d", "o0", "e"));
  EXPECT_EQ(sums()->slots()[0].reward, 0.625);
  placement_.reward.default_reward = -0.1;
  const Sequence begun = log_->Write(now_, PlacementSet{placement_});
  EXPECT_TRUE(sums()->slots().empty());
  EXPECT_EQ(sums()->begun(), begun);
  log_->Write(now_, MakeClick("d", "o0", "f"));
  EXPECT_TRUE(sums()->slots().empty()) << "earned by the rules of before";
  placement_.estimate_examination = false;
  log_->Write(now_, PlacementSet{placement_});
  EXPECT_EQ(sums(), nullptr);
  Decide("e", {0.5});
  EXPECT_EQ(sums(), nullptr);
  placement_.estimate_examination = true;
  log_->Write(now_, PlacementSet{placement_});
  log_->Write(now_, MakeClick("e", "o0", "g"));
  EXPECT_TRUE(sums()->slots().empty());
  log_->Write(now_, PlacementDeleted{"home"});
  EXPECT_EQ(sums(), nullptr);
}

TEST_F(ExaminationTest, DecisionsAreWeighedByTheSumsOfTheirTimeAndKeepIt) {
  placement_.examination = {1, 0.5};
  SetUpShop();
  Teach();
  for (int i = 0; i < 200; ++i) {
    Decide(absl::StrCat("d", i), {0.0, 0.0});
    if (i % 2 == 0) log_->Write(now_, MakeClick(absl::StrCat("d", i), "o0", absl::StrCat("e", i)));
  }
  const auto weight = [&](const std::string& id) { return log_->fold.FindOpen(DecisionId(id))->slots[1].weight.examination; };
  EXPECT_EQ(weight("d0"), 0.5);
  EXPECT_LT(weight("d199"), 0.3) << "nobody ever clicked there";
  Decide("next", {0.0, 0.0});
  EXPECT_EQ(weight("d0"), 0.5);
  EXPECT_EQ(log_->fold.FindOpen(DecisionId("next"))->slots[0].weight.examination, 1);
}

// The same decisions and events, the events in another order, late, repeated, some taken back: the same sums.
TEST_F(ExaminationTest, DelaysRepeatsAndRefundsEndInTheSameSums) {
  placement_.reward.counts[static_cast<int>(EventKind::kRefund)] = false;
  placement_.settle_after_seconds = 0;
  std::vector<ExaminationSums> ends;
  for (const bool is_late : {false, true}) {
    log_ = std::make_unique<LogWriter>();
    now_ = kDayZero;
    SetUpShop();
    Teach();
    Rng rng(7);
    std::vector<Event> events;
    for (int i = 0; i < 300; ++i) {
      const std::string id = absl::StrCat("d", i);
      Decide(id, {rng.NextUniform(), rng.NextUniform(), rng.NextUniform()});
      for (int slot = 0; slot < 3; ++slot) {
        if (rng.NextUniform() > 0.4) continue;
        events.push_back(MakeClick(id, absl::StrCat("o", slot), absl::StrCat("e", i, "-", slot)));
        if (!is_late) log_->Write(now_, events.back());
        if (rng.NextUniform() > 0.2) continue;
        Event refund = events.back();
        refund.kind = EventKind::kRefund;
        refund.reverses_event_id = refund.id;
        refund.id = EventId(absl::StrCat("r", i, "-", slot));
        events.push_back(refund);
        if (!is_late) log_->Write(now_, refund);
      }
    }
    if (is_late) {
      for (size_t i = events.size(); i > 1; --i) std::swap(events[i - 1], events[rng.NextBits() % i]);
      now_ += 900 * kSecond;
      for (Event& event : events) {
        log_->Write(now_, event);
        event.fate = Fate::kDuplicate;
        log_->Write(now_, event);
      }
    }
    ends.push_back(*sums());
  }
  ASSERT_EQ(ends[0].slots().size(), 3u);
  ASSERT_EQ(ends[1].slots().size(), 3u);
  for (size_t slot = 0; slot < 3; ++slot) {
    EXPECT_GT(ends[0].slots()[slot].reward, 0);
    EXPECT_NEAR(ends[0].slots()[slot].reward, ends[1].slots()[slot].reward, 1e-9);
    EXPECT_NEAR(ends[0].slots()[slot].estimate, ends[1].slots()[slot].estimate, 1e-9);
  }
  EXPECT_NEAR(ends[0].first_squared(), ends[1].first_squared(), 1e-9);
}

// ---- in a made-up shop ----

constexpr int kOffers = 5;
const std::vector<double> kTruth = {1, 0.6, 0.36, 0.2};

// People click what they look at with probability .05 + .45 a + .1 b; the policy learns, and shows the best first.
struct Outcome {
  std::vector<double> estimated;
  std::vector<double> naive;  // mean reward of the slot by that of the first, whoever drew it
};
Outcome Play(uint64_t seed, int decisions, const RandomShare& share) {
  LogWriter log;
  Policy policy = MakeLinear("model");
  policy.ridge_set = false;
  Placement placement = MakePlacement("home", "model");
  placement.slate_size = static_cast<int>(kTruth.size());
  placement.randomised_share = share;
  placement.matrix_share = 0;
  placement.window_seconds = 50;
  placement.max_lateness_seconds = 50;
  placement.estimate_examination = true;
  log.Write(kDayZero, PolicySet{policy});
  log.Write(kDayZero, PlacementSet{placement});
  Rng rng(seed);
  DecideScratch scratch;
  Decision decision;
  std::vector<double> earned(kTruth.size(), 0);
  std::vector<std::string> ids;
  for (int i = 0; i < kOffers; ++i) ids.push_back(absl::StrCat("o", i));
  for (int i = 0; i < decisions; ++i) {
    const TimeMicros now = kDayZero + i * kSecond;
    if (i % 100 == 99) log.Write(now, *log.fold.Prepare("model", false));
    std::vector<std::vector<NamedFact>> facts;
    std::vector<double> interest;
    for (int k = 0; k < kOffers; ++k) {
      const double a = rng.NextUniform(), b = rng.NextUniform();
      facts.push_back({{"a", Fact::Number(a)}, {"b", Fact::Number(b)}});
      interest.push_back(0.05 + 0.45 * a + 0.1 * b);
    }
    RankRequest request;
    request.placement = "home";
    for (size_t k = 0; k < kOffers; ++k) request.candidates.push_back({ids[k], facts[k]});
    EXPECT_OK(Decide(log.state(), request, rng.NextBits(), now, scratch, decision));
    DecisionChange change;  // as store/records.cc reads it from the record
    change.id = DecisionId(absl::StrCat("d", i));
    change.placement = "home";
    change.placement_sequence = decision.placement->sequence;
    change.learner = decision.learner;
    change.learner_sequence = decision.learner_sequence;
    for (const DecidedSlot& slot : decision.slots) {
      change.slots.push_back({OfferId(slot.offer_id), decision.features.row(slot.candidate), 0, slot.explorer_probability / slot.probability});
    }
    log.Write(now, change);
    for (size_t slot = 0; slot < decision.slots.size(); ++slot) {
      if (rng.NextUniform() >= kTruth[slot] * interest[static_cast<size_t>(decision.slots[slot].candidate)]) continue;
      Event event = MakeEvent(EventKind::kClick, now);
      event.id = EventId(absl::StrCat("e", i, "-", slot));
      event.decision_id = change.id;
      event.offer_id = OfferId(decision.slots[slot].offer_id);
      log.Write(now, event);
      ++earned[slot];
    }
    log.entries.clear();
  }
  Outcome outcome;
  outcome.estimated = log.state().examinations.Find("home")->Weights({}, kTruth.size());
  for (const double sum : earned) outcome.naive.push_back(sum / earned[0]);
  return outcome;
}

double LargestError(const std::vector<double>& weights) {
  double largest = 0;
  for (size_t slot = 0; slot < kTruth.size(); ++slot) largest = std::max(largest, std::abs(weights[slot] - kTruth[slot]));
  return largest;
}

TEST(ExaminationShopTest, TheShareShowsWhereSlotsAreLookedAt) {
  const Outcome outcome = Play(1, 6'000, {0.3, RandomKind::kUniform, 0});
  EXPECT_EQ(outcome.estimated[0], 1);
  EXPECT_LT(LargestError(outcome.estimated), 0.1) << ::testing::PrintToString(outcome.estimated);
}

TEST(ExaminationShopSlow, EndsWithinFiveHundredthsOfTheTruthWhereTheMeanRewardOfASlotDoesNot) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    const Outcome outcome = Play(seed, 60'000, {0.3, RandomKind::kUniform, 0});
    EXPECT_LT(LargestError(outcome.estimated), 0.05) << seed << ::testing::PrintToString(outcome.estimated);
    EXPECT_GT(LargestError(outcome.naive), 0.05) << seed << ::testing::PrintToString(outcome.naive);
    const Outcome bounded = Play(seed, 60'000, {0.3, RandomKind::kBounded, 3});
    EXPECT_LT(LargestError(bounded.estimated), 0.05) << seed << ::testing::PrintToString(bounded.estimated);
  }
}

}  // namespace
}  // namespace offerd
