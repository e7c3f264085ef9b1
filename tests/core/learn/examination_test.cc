// Examination estimated from the randomised share, through the real draw and the real fold.
#include "core/learn/examination.h"

#include <cmath>
#include <deque>

#include "absl/strings/str_cat.h"
#include "core/decide.h"
#include "tests/core/log_writer.h"

namespace offerd {
namespace {

constexpr int kSlots = 4;
constexpr int kCandidates = 5;
constexpr double kTruth[kSlots] = {1, 0.6, 0.36, 0.2};

Placement MakeHome() {
  Placement placement = MakePlacement("home", "model");
  placement.slate_size = kSlots;
  placement.randomised_share = {0.3, RandomKind::kUniform, 3};
  placement.estimate_examination = true;
  placement.explorer.kind = ExplorerKind::kThompson;
  return placement;
}

// A shop in which an offer looked at is clicked with probability 0.05 + 0.4 a, a even over [0, 1].
class Shop {
 public:
  explicit Shop(uint64_t seed, Placement placement = MakeHome()) : rng_(seed) {
    log.Write(now_, PolicySet{MakeLinear("model")});
    log.Write(now_, PlacementSet{std::move(placement)});
  }

  void Visit(bool publishes) {
    std::vector<std::string> ids;
    std::vector<std::vector<NamedFact>> facts;
    RankRequest request;
    request.placement = "home";
    for (int i = 0; i < kCandidates; ++i) {
      ids.push_back(absl::StrCat("o", i));
      facts.push_back({{"a", Fact::Number(rng_.NextUniform())}, {"b", Fact::Number(rng_.NextNormal())}});
    }
    for (size_t i = 0; i < ids.size(); ++i) request.candidates.push_back({ids[i], facts[i]});
    ASSERT_OK(Decide(log.state(), request, rng_.NextBits(), now_, scratch_, decision_));
    DecisionChange change;
    const std::string id = absl::StrCat("d", visits_);
    change.id = DecisionId(id);
    change.placement = "home";
    change.learner = decision_.learner;
    change.learner_sequence = decision_.learner_sequence;
    for (size_t k = 0; k < decision_.slots.size(); ++k) {
      const DecidedSlot& slot = decision_.slots[k];
      change.slots.push_back({OfferId(slot.offer_id), decision_.features.row(slot.candidate).transpose(), 0,
                              slot.explorer_probability / slot.probability});
      const bool clicked = rng_.NextUniform() < kTruth[k] * (0.05 + 0.4 * facts[static_cast<size_t>(slot.candidate)][0].fact.number);
      clicks[k] += clicked ? 1 : 0;
      if (!clicked) continue;
      Event event = MakeEvent(EventKind::kClick, now_);
      event.id = EventId(absl::StrCat(id, "-", k));
      event.decision_id = change.id;
      event.offer_id = OfferId(slot.offer_id);
      coming_.push_back({visits_ + delay_, event});
    }
    log.Write(now_, change);
    for (; !coming_.empty() && coming_.front().first <= visits_; coming_.pop_front()) log.Write(now_, coming_.front().second);
    if (publishes) {
      const auto publication = log.fold.Prepare("model", false);
      ASSERT_OK(publication);
      log.Write(now_, *publication);
    }
    ++visits_;
    now_ += kMicrosPerSecond;
  }
  void Finish() {
    for (; !coming_.empty(); coming_.pop_front()) log.Write(now_, coming_.front().second);
  }
  void Run(int visits, int publish_every) {
    for (int i = 0; i < visits; ++i) Visit(publish_every > 0 && i % publish_every == publish_every - 1);
    Finish();
  }

  void set_delay(int visits) { delay_ = visits; }

  const ExaminationEstimate* estimate() const { return log.state().examinations.Find("home"); }
  double Of(size_t slot) const { return estimate()->Of(slot, {}, 1); }

  LogWriter log;
  double clicks[kSlots] = {};

 private:
  Rng rng_;
  int delay_ = 0;
  int visits_ = 0;
  TimeMicros now_ = kDayZero;
  DecideScratch scratch_;
  Decision decision_;
  std::deque<std::pair<int, Event>> coming_;
};

void ExpectTruth(const Shop& shop, double tolerance) {
  EXPECT_EQ(shop.Of(0), 1);
  for (size_t k = 1; k < kSlots; ++k) EXPECT_NEAR(shop.Of(k), kTruth[k], tolerance) << k;
}

TEST(ExaminationTest, FindsHowLikelySlotsAreLookedAt) {
  Shop shop(1);
  shop.Run(20'000, 200);
  ExpectTruth(shop, 0.05);
  // Clicks by slot alone do not tell: the better offers stand further up.
  EXPECT_LT(shop.clicks[1] / shop.clicks[0], kTruth[1] - 0.05);
  EXPECT_LT(shop.clicks[2] / shop.clicks[0], kTruth[2] - 0.05);
  EXPECT_LT(shop.clicks[3] / shop.clicks[0], kTruth[3] - 0.05);
}

TEST(ExaminationTestSlow, FromEverySeedAndStart) {
  for (uint64_t seed = 2; seed < 8; ++seed) {
    Placement placement = MakeHome();
    if (seed % 2 == 0) placement.examination = {1, 0.3};  // wrong, in the other direction
    Shop shop(seed, placement);
    shop.Run(60'000, 200);
    ExpectTruth(shop, 0.04);
  }
}

TEST(ExaminationTest, NewDecisionsAreWeighedByIt) {
  Shop shop(3);
  shop.Run(5'000, 100);
  const double before = shop.Of(2);
  shop.Visit(false);
  const OpenDecision& open = *shop.log.fold.FindOpen(DecisionId("d5000"));
  EXPECT_EQ(open.slots[0].weight.examination, 1);
  EXPECT_EQ(open.slots[2].weight.examination, before);
  EXPECT_LT(before, 0.5);
}

// The same decisions, drawn by one model, whose clicks come at once or long after.
TEST(ExaminationTest, LateRewardsEndInTheSameSums) {
  std::vector<ExaminationEstimate::Slot> expected;
  for (const int delay : {0, 7, 300}) {
    Shop shop(4);
    shop.Run(100, 50);
    shop.set_delay(delay);
    shop.Run(1'000, 0);
    const std::vector<ExaminationEstimate::Slot>& slots = shop.estimate()->slots();
    ASSERT_EQ(slots.size(), size_t{kSlots});
    if (delay == 0) expected = slots;
    for (size_t k = 0; k < slots.size(); ++k) {
      EXPECT_GT(slots[k].rewarded, 1);
      EXPECT_NEAR(slots[k].rewarded, expected[k].rewarded, 1e-9 * expected[k].rewarded) << delay;
    }
  }
}

TEST(ExaminationTest, ARewardTakenBackIsTakenOutAndAnotherContractBeginsAnew) {
  Shop shop(5);
  shop.Run(300, 50);
  const double before = shop.estimate()->slots()[0].rewarded;
  std::string decision, offer;
  for (int i = 299; decision.empty(); --i) {
    const OpenDecision& open = *shop.log.fold.FindOpen(DecisionId(absl::StrCat("d", i)));
    if (open.slots[0].earned > 0 && open.slots[0].share_weight > 0) decision = absl::StrCat("d", i), offer = open.slots[0].offer_id.value();
  }
  const double weight = shop.log.fold.FindOpen(DecisionId(decision))->slots[0].share_weight;
  Event refund = MakeEvent(EventKind::kRefund, kDayZero + 400 * kMicrosPerSecond);
  refund.id = EventId("refund");
  refund.decision_id = DecisionId(decision);
  refund.reverses_event_id = EventId(decision + "-0");
  shop.log.Write(refund.time, refund);
  EXPECT_NEAR(shop.estimate()->slots()[0].rewarded, before - weight, 1e-9);

  Placement placement = MakeHome();
  placement.slate_size = 3;
  shop.log.Write(refund.time, PlacementSet{placement});
  EXPECT_NE(shop.estimate(), nullptr) << "rewards mean the same";
  placement.reward.weights[static_cast<int>(EventKind::kClick)] = 2;
  shop.log.Write(refund.time, PlacementSet{placement});
  EXPECT_EQ(shop.estimate(), nullptr);
}

TEST(ExaminationTest, StartsFromWhatIsDeclaredAndStaysInBounds) {
  ExaminationEstimate estimate;
  EXPECT_EQ(estimate.Of(0, {}, 1), 1);
  EXPECT_EQ(estimate.Of(3, {1, 0.5}, 1), 0.5);
  estimate.AddExpected(1, 1000);
  EXPECT_EQ(estimate.Of(1, {}, 1), 1) << "nothing is known of the first slot";
  estimate.AddExpected(0, 1000);
  estimate.AddReward(0, 500);
  EXPECT_NEAR(estimate.Of(1, {}, 1), 20.0 / 520, 1e-12);  // 500 rewards were expected and none came
  EXPECT_NEAR(estimate.Of(1, {}, 100), 2000.0 / 2500, 1e-12) << "rewards of 100";
  estimate.AddReward(1, 1e6);
  EXPECT_EQ(estimate.Of(1, {}, 1), 1);
  estimate.AddReward(1, -2e6);
  EXPECT_EQ(estimate.Of(1, {}, 1), ExaminationEstimate::kLeast);
  estimate.AddExpected(1, -2e6);
  EXPECT_EQ(estimate.Of(1, {1, 0.7}, 1), 0.7) << "an expectation below 0 says nothing";
}

}  // namespace
}  // namespace offerd
