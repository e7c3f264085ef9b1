#include <string>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/server/engine/shop.h"

namespace offerd {
namespace {

using ::testing::HasSubstr;

// One slot, everything recorded, a minute's window: what is shown earns 1 where it is offer o5.
class ReleaseShop : public Shop {
 public:
  void Furnish(const std::string& policy) {
    OpenFurnished();
    v1::Policy dice;
    dice.set_name("dice");
    dice.mutable_random()->set_kind(v1::RandomisedShare::UNIFORM);
    ASSERT_OK(SetPolicy(dice));
    for (int i : {0, 5}) {
      v1::Policy order;
      order.set_name(absl::StrCat("only_o", i));
      order.mutable_fixed()->add_order(absl::StrCat("o", i));
      ASSERT_OK(SetPolicy(order));
    }
    ASSERT_OK(SetPlacement(Placed(policy)));
  }

  static v1::Placement Placed(const std::string& policy) {
    v1::Placement placement = MakePlacement();
    placement.set_policy(policy);
    placement.set_slate_size(1);
    placement.set_window_seconds(60);
    placement.set_max_lateness_seconds(1);
    placement.mutable_gate()->set_min_effective_samples(50);
    return placement;
  }

  // `n` visits, one a minute, of 100 customers.
  void Trade(int n) {
    for (int i = 0; i < n; ++i, ++visits_) {
      const TimeMicros time = kOpening + visits_ * kMinute;
      const std::string customer = absl::StrCat("c", visits_ % 100);
      const v1::RankOffersResponse response = Rank(absl::StrCat("r", visits_), customer, time);
      ASSERT_EQ(response.slots_size(), 1);
      if (response.slots(0).offer_id() != "o5") continue;
      EXPECT_EQ(Send(Purchase(absl::StrCat("e", visits_), customer, response, time + kMicrosPerSecond)).fate(), v1::APPLIED);
    }
    Status();  // all of it is in force
  }

  absl::Status Promote(const std::string& policy, v1::Release* release, const std::string& override_reason = "") {
    v1::PromotePolicyRequest request;
    request.set_policy(policy);
    request.set_placement("home");
    request.set_override_reason(override_reason);
    release->Clear();
    return Call(&Engine::PromotePolicy, request, release);
  }
  std::vector<v1::Release> History() {
    v1::ListReleasesResponse response;
    EXPECT_OK(engine->ListReleases(v1::ListReleasesRequest(), &response));
    return {response.releases().begin(), response.releases().end()};
  }
  v1::Placement Home() {
    v1::ListPlacementsResponse response;
    EXPECT_OK(engine->ListPlacements(v1::ListPlacementsRequest(), &response));
    return response.placements(0);
  }
  absl::StatusOr<v1::PolicyEvaluation> Evaluate(const std::string& policy, uint64_t version = 0) {
    v1::EvaluatePolicyRequest request;
    request.set_policy(policy);
    request.set_version(version);
    v1::PolicyEvaluation evaluation;
    const absl::Status status = Call(&Engine::EvaluatePolicy, request, &evaluation);
    if (!status.ok()) return status;
    return evaluation;
  }
  absl::Status RollBackPlacement(v1::Release* release) {
    v1::RollBackPlacementRequest request;
    request.set_name("home");
    request.set_reason("looks wrong");
    return Call(&Engine::RollBackPlacement, request, release);
  }

 private:
  int64_t visits_ = 0;
};

const v1::PolicyEvaluation::Row& RowOf(const v1::PolicyEvaluation& evaluation, const std::string& policy) {
  for (const v1::PolicyEvaluation::Row& row : evaluation.rows()) {
    if (row.policy() == policy) return row;
  }
  ADD_FAILURE() << "no row " << policy;
  return v1::PolicyEvaluation::Row::default_instance();
}

TEST(EngineReleasesTest, ABetterPolicyIsAcceptedAndAnswers) {
  ReleaseShop shop;
  shop.Furnish("dice");
  shop.Trade(900);
  v1::Release release;
  ASSERT_OK(shop.Promote("only_o5", &release));
  EXPECT_EQ(release.outcome(), v1::Release::ACCEPTED);
  EXPECT_EQ(release.attempt(), 1);
  EXPECT_EQ(release.previous_policy(), "dice");
  const v1::Release::Evidence& evidence = release.evidence();
  EXPECT_GT(evidence.lower_bound(), 0);
  EXPECT_NEAR(evidence.live_reward(), 1.0 / 6, 0.04);
  // With the placement's share of 5 % over the four next places, o5 first has .95 + .05 / 4.
  EXPECT_NEAR(evidence.candidate_reward(), 0.9625, 0.25);
  EXPECT_NEAR(evidence.candidate_reward() / evidence.live_reward(), 0.9625 * 6, 1e-6);  // w = 0.9625 / (1/6) wherever there was a reward
  EXPECT_EQ(evidence.live(0).policy(), "dice");
  EXPECT_EQ(shop.Home().policy(), "only_o5");
  EXPECT_EQ(shop.Rank("after", "ann", kOpening + 5000 * kMinute).policy(), "only_o5");
  EXPECT_THAT(shop.Promote("only_o5", &release), StatusIs(absl::StatusCode::kFailedPrecondition, "already"));
}

TEST(EngineReleasesTest, AWorsePolicyIsRefusedAndEveryAttemptIsLogged) {
  ReleaseShop shop;
  shop.Furnish("dice");
  shop.Trade(900);
  v1::Release release;
  for (int attempt = 1; attempt <= 3; ++attempt) {
    EXPECT_THAT(shop.Promote("only_o0", &release), StatusIs(absl::StatusCode::kFailedPrecondition, "not above the floor"));
  }
  EXPECT_EQ(shop.Home().policy(), "dice");
  std::vector<v1::Release> history = shop.History();
  ASSERT_EQ(history.size(), 3);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(history[i].outcome(), v1::Release::REFUSED);
    EXPECT_EQ(history[i].attempt(), 3 - static_cast<int>(i));
    EXPECT_LT(history[i].evidence().gain(), 0);
  }
  EXPECT_NEAR(history[0].evidence().alpha(), history[2].evidence().alpha() / 9, 1e-12);
  // All of it is state: it is there after a crash, and after a start from a snapshot.
  shop.Crash();
  shop.Open();
  EXPECT_EQ(shop.History().size(), 3);
  EXPECT_OK(shop.Snapshot());
  shop.Stop();
  shop.Open();
  history = shop.History();
  ASSERT_EQ(history.size(), 3);
  EXPECT_EQ(history[0].attempt(), 3);
  EXPECT_THAT(shop.Promote("only_o0", &release), StatusIs(absl::StatusCode::kFailedPrecondition, "attempt 4"));
}

TEST(EngineReleasesTest, TooLittleEvidenceIsRefusedAndSpendsNothing) {
  ReleaseShop shop;
  shop.Furnish("dice");
  shop.Trade(30);
  v1::Release release;
  EXPECT_THAT(shop.Promote("only_o5", &release), StatusIs(absl::StatusCode::kFailedPrecondition, "effective samples"));
  EXPECT_EQ(shop.History()[0].attempt(), 0);
  shop.Trade(900);
  ASSERT_OK(shop.Promote("only_o5", &release));
  EXPECT_EQ(release.attempt(), 1);
}

TEST(EngineReleasesTest, AnOverrideNeedsNoEvidenceAndARollBackNeither) {
  ReleaseShop shop;
  shop.Furnish("dice");
  v1::Release release;
  EXPECT_THAT(shop.RollBackPlacement(&release), StatusIs(absl::StatusCode::kFailedPrecondition, "nothing to go back to"));
  ASSERT_OK(shop.Promote("only_o0", &release, "the season begins"));
  EXPECT_EQ(release.kind(), v1::Release::OVERRIDE);
  EXPECT_EQ(release.reason(), "the season begins");
  EXPECT_EQ(shop.Home().policy(), "only_o0");
  ASSERT_OK(shop.RollBackPlacement(&release));
  EXPECT_EQ(release.policy(), "dice");
  EXPECT_EQ(shop.Home().policy(), "dice");
  EXPECT_EQ(shop.Home().mode(), v1::LIVE);
  ASSERT_EQ(shop.History().size(), 2);
  EXPECT_EQ(shop.History()[0].kind(), v1::Release::ROLL_BACK);
  EXPECT_THAT(shop.RollBackPlacement(&release), StatusIs(absl::StatusCode::kFailedPrecondition, "nothing to go back to"));
  ASSERT_OK(shop.Promote("only_o0", &release, "again"));
  ASSERT_OK(shop.Promote("only_o5", &release, "and again"));
  for (const char* policy : {"only_o0", "dice"}) {  // one step each
    ASSERT_OK(shop.RollBackPlacement(&release));
    EXPECT_EQ(shop.Home().policy(), policy);
  }
}

TEST(EngineReleasesTest, ARequiredGateIsNotGoneAround) {
  ReleaseShop shop;
  shop.Furnish("dice");
  v1::Placement guarded = ReleaseShop::Placed("dice");
  guarded.mutable_gate()->set_required(true);
  ASSERT_OK(shop.SetPlacement(guarded));
  v1::Placement other = guarded;
  other.set_policy("only_o0");
  EXPECT_THAT(shop.SetPlacement(other), StatusIs(absl::StatusCode::kFailedPrecondition, "PromotePolicy"));
  v1::Placement open = guarded;
  open.mutable_gate()->set_required(false);
  EXPECT_THAT(shop.SetPlacement(open), StatusIs(absl::StatusCode::kFailedPrecondition, "loosen"));
  v1::Placement lower = guarded;
  lower.mutable_gate()->set_floor(-1);
  EXPECT_THAT(shop.SetPlacement(lower), StatusIs(absl::StatusCode::kFailedPrecondition, "loosen"));
  v1::Placement safe = guarded;
  safe.set_mode(v1::LOG_ONLY);
  safe.set_slate_size(2);
  EXPECT_OK(shop.SetPlacement(safe));  // back to the fixed order at any time
  EXPECT_THAT(shop.SetPlacement(guarded), StatusIs(absl::StatusCode::kFailedPrecondition, "PromotePolicy"));
  v1::SetPlacementRequest request;
  *request.mutable_placement() = other;
  request.set_override_reason("we know");
  v1::Placement set;
  EXPECT_OK(shop.Call(&Engine::SetPlacement, request, &set));
  EXPECT_EQ(set.policy(), "only_o0");
  EXPECT_EQ(shop.History()[0].reason(), "we know");
}

// Rescoring by the code that draws: the policy that made the decisions has weight 1 everywhere, whatever its explorer and share.
TEST(EngineReleasesTest, ThePolicyThatDecidedIsWorthWhatItEarned) {
  for (const v1::Explorer::Kind kind : {v1::Explorer::THOMPSON, v1::Explorer::SOFTMAX, v1::Explorer::UPPER_BOUND, v1::Explorer::BOUNDED_SHUFFLE}) {
    for (const v1::RandomisedShare::Base base : {v1::RandomisedShare::POLICY, v1::RandomisedShare::FIXED}) {
      ReleaseShop shop;
      shop.Furnish("dice");
      v1::Placement placement = ReleaseShop::Placed("learn");
      placement.mutable_explorer()->set_kind(kind);
      placement.mutable_explorer()->set_epsilon(0.1);
      placement.mutable_randomised_share()->set_base(base);
      placement.set_slate_size(3);
      placement.mutable_rules()->set_max_per_category(1);
      ASSERT_OK(shop.SetPlacement(placement));
      for (int i = 0; i < 50; ++i) {
        const v1::RankOffersResponse shown = shop.Rank(absl::StrCat("warm", i), absl::StrCat("c", i), kOpening - (100 - i) * kMinute);
        shop.Send(Shop::Purchase(absl::StrCat("warm", i), absl::StrCat("c", i), shown, kOpening - (100 - i) * kMinute + 1));
      }
      ASSERT_OK(shop.Publish("learn"));
      v1::RollBackPolicyRequest pin;
      pin.set_name("learn");
      pin.set_version(shop.Learned().policy().version());
      v1::Policy pinned;
      ASSERT_OK(shop.Call(&Engine::RollBackPolicy, pin, &pinned));
      for (int i = 0; i < 200; ++i) {
        const TimeMicros time = kOpening + i * kMinute;
        const v1::RankOffersResponse shown = shop.Rank(absl::StrCat("r", i), absl::StrCat("c", i % 40), time);
        if (i % 3 == 0) shop.Send(Shop::Purchase(absl::StrCat("p", i), absl::StrCat("c", i % 40), shown, time + 1));
      }
      shop.Rank("last", "ann", kOpening + 1000 * kMinute);
      shop.Send(Shop::Purchase("end", "bob", {}, kOpening + 1000 * kMinute));  // answered once all decisions before it are in the log
      const absl::StatusOr<v1::PolicyEvaluation> evaluation = shop.Evaluate("learn");
      ASSERT_OK(evaluation);
      EXPECT_EQ(evaluation->version(), pin.version());
      EXPECT_EQ(evaluation->decisions(), 200);
      const v1::PolicyEvaluation::Row& candidate = RowOf(*evaluation, "candidate");
      EXPECT_NEAR(candidate.gain().value(), 0, 1e-9) << kind;
      EXPECT_NEAR(candidate.gain().upper_bound(), 0, 1e-9);
      EXPECT_NEAR(candidate.effective_samples(), 200, 1e-6);
      EXPECT_NEAR(candidate.reward().value(), RowOf(*evaluation, "live").reward().value(), 1e-9);
      EXPECT_GT(RowOf(*evaluation, "live").revenue().value(), 0.5);
      EXPECT_EQ(evaluation->live(0).first_version(), pin.version());
    }
  }
}

TEST(EngineReleasesTest, DecisionsThatTaughtThePolicyAreNoEvidenceForIt) {
  ReleaseShop shop;
  shop.Furnish("dice");
  v1::Placement apprentice = ReleaseShop::Placed("learn");
  apprentice.set_mode(v1::APPRENTICE);
  ASSERT_OK(shop.SetPlacement(apprentice));
  shop.Trade(100);
  ASSERT_OK(shop.Publish("learn"));
  shop.Trade(40);
  const absl::StatusOr<v1::PolicyEvaluation> evaluation = shop.Evaluate("learn");
  ASSERT_OK(evaluation);
  EXPECT_LE(evaluation->decisions(), 40);
  EXPECT_GE(evaluation->decisions(), 35);  // the last ones have open windows
  EXPECT_TRUE(evaluation->has_trained_until());
}

TEST(EngineReleasesTest, WhatCannotBeValuedIsCountedByReason) {
  ReleaseShop shop;
  shop.Furnish("dice");
  v1::Placement unrecorded = ReleaseShop::Placed("dice");
  unrecorded.set_matrix_share(0);
  ASSERT_OK(shop.SetPlacement(unrecorded));
  shop.Trade(20);
  ASSERT_OK(shop.SetPlacement(ReleaseShop::Placed("dice")));
  shop.Rank("open", "ann", kOpening + 20 * kMinute);
  shop.Status();  // it is written
  const absl::StatusOr<v1::PolicyEvaluation> evaluation = shop.Evaluate("only_o5");
  ASSERT_OK(evaluation);
  std::map<std::string, int64_t> excluded;
  for (const auto& part : evaluation->excluded()) excluded[part.reason()] = part.decisions();
  EXPECT_EQ(excluded["window and lateness are not over"], 1);
  int64_t unrecorded_decisions = 0;
  for (const auto& [reason, count] : excluded) unrecorded_decisions += absl::StrContains(reason, "matrix") ? count : 0;
  EXPECT_EQ(unrecorded_decisions, 20);
  EXPECT_THAT(shop.Evaluate("nobody").status(), StatusIs(absl::StatusCode::kNotFound, "policy"));
  EXPECT_THAT(shop.Evaluate("learn", 99).status(), StatusIs(absl::StatusCode::kNotFound, "version"));
}

// --- The guard ---

v1::Placement Guarded() {
  v1::Placement placement = ReleaseShop::Placed("learn");
  placement.set_fixed_policy("only_o5");
  placement.mutable_randomised_share()->set_share(0.5);
  placement.mutable_randomised_share()->set_kind(v1::RandomisedShare::UNIFORM);
  placement.mutable_gate()->set_guard(true);
  placement.mutable_gate()->set_automatic_return(true);
  return placement;
}

TEST(EngineReleasesTest, TheGuardPutsTheFixedOrderBack) {
  ReleaseShop shop;
  shop.Furnish("dice");
  ASSERT_OK(shop.SetPlacement(Guarded()));
  v1::RollBackPolicyRequest pin;  // stays as foolish as it was born
  pin.set_name("learn");
  v1::Policy pinned;
  ASSERT_OK(shop.Publish("learn"));
  pin.set_version(shop.Learned().policy().version());
  ASSERT_OK(shop.Call(&Engine::RollBackPolicy, pin, &pinned));
  shop.Trade(900);
  v1::ServerStatus status = shop.Status();
  ASSERT_EQ(status.guards_size(), 1);
  EXPECT_TRUE(status.guards(0).is_on());
  EXPECT_FALSE(status.guards(0).is_below());
  shop.Crash();  // what the guard knows is state
  shop.Open();
  const absl::Time patience = absl::Now() + absl::Seconds(60);
  while (shop.Home().mode() == v1::LIVE && absl::Now() < patience) shop.Trade(100);
  EXPECT_EQ(shop.Home().mode(), v1::APPRENTICE);
  const v1::Release release = shop.History()[0];
  EXPECT_EQ(release.kind(), v1::Release::AUTOMATIC_RETURN);
  EXPECT_EQ(release.policy(), "learn");
  EXPECT_THAT(release.reason(), HasSubstr("for certain"));
  EXPECT_EQ(shop.metrics->counter(Counter::kAutomaticReturns), 1);
  shop.Trade(1);
  EXPECT_FALSE(shop.Status().guards(0).is_on());
  EXPECT_EQ(shop.Status().guards(0).off_because(), "the placement is not live");
  v1::Release back;  // of a return there is no way back but a promotion
  EXPECT_THAT(shop.RollBackPlacement(&back), StatusIs(absl::StatusCode::kFailedPrecondition, "nothing to go back to"));
}

TEST(EngineReleasesTest, TheGuardSaysWhyItIsOff) {
  ReleaseShop shop;
  shop.Furnish("dice");
  v1::Placement uncovered = Guarded();
  uncovered.mutable_randomised_share()->set_kind(v1::RandomisedShare::BOUNDED);
  ASSERT_OK(shop.SetPlacement(uncovered));
  EXPECT_THAT(shop.Status().guards(0).off_because(), HasSubstr("does not cover"));
  uncovered.mutable_randomised_share()->set_base(v1::RandomisedShare::FIXED);
  ASSERT_OK(shop.SetPlacement(uncovered));
  EXPECT_TRUE(shop.Status().guards(0).is_on());
  v1::Placement random = Guarded();
  random.set_policy("dice");
  ASSERT_OK(shop.SetPlacement(random));
  EXPECT_THAT(shop.Status().guards(0).off_because(), HasSubstr("not linear"));
}

TEST(EngineReleasesTest, AGateIsChecked) {
  ReleaseShop shop;
  shop.Furnish("dice");
  v1::Placement placement = Guarded();
  placement.mutable_gate()->set_guard(false);
  EXPECT_THAT(shop.SetPlacement(placement), StatusIs(absl::StatusCode::kInvalidArgument, "gate.automatic_return"));
  placement = Guarded();
  placement.mutable_gate()->set_floor(std::numeric_limits<double>::quiet_NaN());
  placement.mutable_gate()->set_slots(-1);
  EXPECT_THAT(shop.SetPlacement(placement), StatusIs(absl::StatusCode::kInvalidArgument, "gate.floor"));
  placement.mutable_gate()->set_floor(0);
  EXPECT_THAT(shop.SetPlacement(placement), StatusIs(absl::StatusCode::kInvalidArgument, "gate.slots"));
}

}  // namespace
}  // namespace offerd
