#include "core/decide.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "absl/strings/str_cat.h"
#include "core/hash.h"
#include "core/rng.h"
#include "tests/core/log_writer.h"
#include "tests/support/reference/slate_reference.h"

namespace offerd {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

// A request whose strings and facts live as long as it does.
struct OwnedRequest {
  RankRequest request;
  std::vector<std::string> ids;
  std::vector<std::vector<NamedFact>> facts;

  explicit OwnedRequest(const std::string& placement = "home") : placement_name(placement) {
    request.placement = placement_name;
    request.market = "fr";
    ids.reserve(5'000);
    facts.reserve(5'000);
  }
  OwnedRequest(const OwnedRequest&) = delete;
  OwnedRequest& operator=(const OwnedRequest&) = delete;
  void AddCandidate(const std::string& id, double a = 0, double b = 0) {
    ids.push_back(id);
    facts.push_back({{"a", Fact::Number(a)}, {"b", Fact::Number(b)}});
    request.candidates.push_back({ids.back(), facts.back()});
  }

 private:
  std::string placement_name;
};

// Everything an answer says, as one text of exact bits.
std::string Bytes(const Decision& decision) {
  const auto bits = [](double value) {
    uint64_t number;
    std::memcpy(&number, &value, sizeof(number));
    return number;
  };
  std::string out = absl::StrCat(decision.policy, "|", decision.model_version, "|", decision.learner, "|", decision.learner_sequence,
                                 "|", decision.arm, "|", decision.used_customer, decision.deferred, decision.record_matrix,
                                 decision.has_agreement, decision.agreed, "|", decision.num_candidates, "|", decision.gate_leaks);
  for (const DecidedSlot& slot : decision.slots) {
    absl::StrAppend(&out, "\n", slot.offer_id, " ", slot.candidate, " ", bits(slot.score), " ", bits(slot.probability), " ",
                    bits(slot.explorer_probability), " ", static_cast<int>(slot.reason));
  }
  for (const DecisionNote note : decision.notes) absl::StrAppend(&out, " note ", static_cast<int>(note));
  for (const std::string& id : decision.unknown_offers) absl::StrAppend(&out, " unknown ", id);
  for (const int count : decision.excluded) absl::StrAppend(&out, " ", count);
  for (const std::string& id : decision.candidate_ids) absl::StrAppend(&out, " ", id);
  out.append(reinterpret_cast<const char*>(decision.features.data()), static_cast<size_t>(decision.features.size()) * sizeof(float));
  return out;
}

class DecideTest : public ::testing::Test {
 protected:
  // Offers a to f; "rules" names d and b first; e sells best, then c, among those bought.
  DecideTest() {
    std::vector<Offer> offers;
    for (const char* id : {"a", "b", "c", "d", "e", "f"}) offers.push_back(MakeOffer(id, {absl::StrCat("item ", id)}));
    log_.Write(now_, OffersUpserted{offers});
    log_.Write(now_, PolicySet{MakeFixed("rules", {"d", "b"})});
    Policy random = MakeFixed("random");
    random.kind = PolicyKind::kRandom;
    log_.Write(now_, PolicySet{random});
    random.name = "shuffle";
    random.random_kind = RandomKind::kBounded;
    random.reach = 1;
    log_.Write(now_, PolicySet{random});
    log_.Write(now_, PolicySet{MakeLinear("model")});
    for (const auto& [customer, item] : {std::pair("ann", "item e"), std::pair("bob", "item e"), std::pair("cid", "item c")}) {
      log_.Write(now_, MakePurchase(customer, now_, {item}));
    }
    placement_ = MakePlacement("home", "model");
    placement_.slate_size = 3;
    placement_.randomised_share.share = 0;
    placement_.matrix_share = 0;
  }

  void SetPlacement() { log_.Write(now_, PlacementSet{placement_}); }

  // Teaches the model that a is worth much and b little, and publishes it.
  void Teach(int decisions = 60) {
    SetPlacement();
    Rng rng(3);
    for (int i = 0; i < decisions; ++i) {
      DecisionChange change;
      change.id = DecisionId(absl::StrCat("taught ", log_.state().sequence));
      change.placement = placement_.name;
      change.learner = "model";
      change.learner_sequence = log_.state().FindPolicy("model")->model_sequence;
      Eigen::VectorXf x(3);
      x << 1.0f, static_cast<float>(rng.NextUniform()), static_cast<float>(rng.NextUniform());
      change.slots.push_back({OfferId("a"), x});
      log_.Write(now_, change);
      Event event = MakeEvent(EventKind::kClick, now_);
      event.decision_id = change.id;
      event.offer_id = OfferId("a");
      if (rng.NextUniform() < 0.8 * static_cast<double>(x[1])) log_.Write(now_, event);
    }
    log_.Write(now_, *log_.fold.Prepare("model", true));
  }

  const Decision& Ask(const RankRequest& request, uint64_t seed = 1) {
    EXPECT_OK(::offerd::Decide(log_.state(), request, seed, now_, scratch_, decision_));
    EXPECT_EQ(decision_.gate_leaks, 0);
    return decision_;
  }
  std::vector<std::string> Slate() const {
    std::vector<std::string> ids;
    for (const DecidedSlot& slot : decision_.slots) ids.push_back(slot.offer_id);
    return ids;
  }

  LogWriter log_;
  TimeMicros now_ = kDayZero;
  Placement placement_;
  DecideScratch scratch_;
  Decision decision_;
};

// ---- Which policy answers ----

TEST_F(DecideTest, UnknownPlacementAndUnknownOverrideAreNotFound) {
  SetPlacement();
  EXPECT_THAT(::offerd::Decide(log_.state(), OwnedRequest("nowhere").request, 1, now_, scratch_, decision_),
              StatusIs(absl::StatusCode::kNotFound, "nowhere"));
  OwnedRequest request;
  request.request.policy_override = "nobody";
  EXPECT_THAT(::offerd::Decide(log_.state(), request.request, 1, now_, scratch_, decision_),
              StatusIs(absl::StatusCode::kNotFound, "nobody"));
}

TEST_F(DecideTest, AFixedPolicyShowsItsOwnOrderThenWhatSellsThenById) {
  placement_.policy = "rules";
  placement_.slate_size = 6;
  SetPlacement();
  const Decision& decision = Ask(OwnedRequest().request);
  EXPECT_THAT(Slate(), ElementsAre("d", "b", "e", "c", "a", "f"));
  EXPECT_EQ(decision.policy, "rules");
  EXPECT_EQ(decision.arm, "policy");
  EXPECT_EQ(decision.learner, "");
  EXPECT_EQ(decision.model_version, 0u);
  for (const DecidedSlot& slot : decision.slots) {
    EXPECT_EQ(slot.probability, 1);
    EXPECT_EQ(slot.reason, SlotReason::kFixedOrder);
  }
  EXPECT_NEAR(decision.slots[2].score, 2.0 / 3, 1e-12);  // the rate of e
}

TEST_F(DecideTest, PopularityIsWhatSellsEvenWhereThePlacementHasRules) {
  placement_.fixed_policy = "rules";
  SetPlacement();
  OwnedRequest request;
  request.request.policy_override = "popularity";
  EXPECT_EQ(Ask(request.request).policy, "popularity");
  EXPECT_THAT(Slate(), ElementsAre("e", "c", "a"));
  placement_.policy = "popularity";
  SetPlacement();
  EXPECT_EQ(Ask(OwnedRequest().request).policy, "popularity");
  EXPECT_THAT(Slate(), ElementsAre("e", "c", "a"));
}

TEST_F(DecideTest, ARandomPolicyGivesEveryOpenOfferTheSameChance) {
  placement_.policy = "random";
  SetPlacement();
  const Decision& decision = Ask(OwnedRequest().request);
  ASSERT_EQ(decision.slots.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(decision.slots[i].probability, 1.0 / static_cast<double>(6 - i), 1e-12);
    EXPECT_EQ(decision.slots[i].reason, SlotReason::kRandom);
    EXPECT_EQ(decision.slots[i].score, 0);
  }
}

TEST_F(DecideTest, ABoundedShuffleMovesNobodyFurtherThanItsReach) {
  placement_.policy = "shuffle";
  placement_.fixed_policy = "rules";
  placement_.slate_size = 6;
  SetPlacement();
  const std::vector<std::string> base = {"d", "b", "e", "c", "a", "f"};
  bool moved = false;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Ask(OwnedRequest().request, seed);
    for (int slot = 0; slot < 6; ++slot) {
      const auto at = std::find(base.begin(), base.end(), decision_.slots[static_cast<size_t>(slot)].offer_id) - base.begin();
      EXPECT_LE(slot - static_cast<int>(at), 1);  // back by at most the reach
      moved |= at != slot;
    }
  }
  EXPECT_TRUE(moved);
}

TEST_F(DecideTest, ALiveLinearPolicyRanksByItsEstimateAndLearns) {
  placement_.explorer = {ExplorerKind::kGreedy, 0};
  Teach();
  OwnedRequest request;
  request.AddCandidate("b", 0.1);
  request.AddCandidate("a", 0.9);
  request.AddCandidate("c", 0.5);
  const Decision& decision = Ask(request.request);
  EXPECT_THAT(Slate(), ElementsAre("a", "c", "b"));
  EXPECT_EQ(decision.policy, "model");
  EXPECT_EQ(decision.learner, "model");
  EXPECT_EQ(decision.learner_sequence, log_.state().FindPolicy("model")->model_sequence);
  EXPECT_EQ(decision.model_version, 2u);
  EXPECT_EQ(decision.slots[0].reason, SlotReason::kBestEstimate);
  EXPECT_EQ(decision.slots[0].candidate, 1);
  ASSERT_EQ(decision.features.rows(), 3);
  ASSERT_EQ(decision.features.cols(), 3);
  EXPECT_EQ(decision.features(1, 1), 0.9f);
  EXPECT_FALSE(decision.has_agreement);
}

TEST_F(DecideTest, AnApprenticeLearnsWhileTheRulesAnswerAndIsCompared) {
  placement_.fixed_policy = "rules";
  Teach();
  placement_.mode = Mode::kApprentice;
  SetPlacement();
  for (const double value_of_d : {0.9, 0.1}) {
    OwnedRequest request;
    request.AddCandidate("a", 0.5);
    request.AddCandidate("d", value_of_d);
    const Decision& decision = Ask(request.request);
    EXPECT_THAT(Slate(), ElementsAre("d", "a"));
    EXPECT_EQ(decision.policy, "rules");
    EXPECT_EQ(decision.arm, "apprentice");
    EXPECT_EQ(decision.learner, "model");
    EXPECT_EQ(decision.model_version, 0u);
    EXPECT_EQ(decision.features.cols(), 3);
    EXPECT_TRUE(decision.has_agreement);
    EXPECT_EQ(decision.agreed, value_of_d == 0.9);
  }
}

TEST_F(DecideTest, LogOnlyLearnsNothingAndEncodesOnlyWhatIsRecorded) {
  placement_.mode = Mode::kLogOnly;
  for (const double share : {0.0, 1.0}) {
    placement_.matrix_share = share;
    SetPlacement();
    const Decision& decision = Ask(OwnedRequest().request);
    EXPECT_EQ(decision.policy, "popularity");
    EXPECT_EQ(decision.arm, "log_only");
    EXPECT_EQ(decision.learner, "");
    EXPECT_FALSE(decision.has_agreement);
    EXPECT_EQ(decision.record_matrix, share == 1);
    EXPECT_EQ(decision.features.cols(), share == 1 ? 3 : 0);
    EXPECT_EQ(decision.candidate_ids.size(), share == 1 ? 6u : 0u);
  }
}

TEST_F(DecideTest, AnOverrideAnswersAndNothingLearnsFromIt) {
  SetPlacement();
  OwnedRequest request;
  request.request.policy_override = "model";
  EXPECT_EQ(Ask(request.request).policy, "model");
  EXPECT_EQ(decision_.learner, "");
  request.request.policy_override = "rules";
  EXPECT_EQ(Ask(request.request).policy, "rules");
}

TEST_F(DecideTest, RulesThatBecameALinearPolicyNoLongerAnswerAsRules) {
  placement_.fixed_policy = "rules";
  placement_.mode = Mode::kApprentice;
  SetPlacement();
  Policy linear = MakeLinear("rules");
  linear.features.features.pop_back();  // another d than the apprentice's
  log_.Write(now_, PolicySet{linear});
  EXPECT_EQ(Ask(OwnedRequest().request).policy, "popularity");
  EXPECT_THAT(Slate(), ElementsAre("e", "c", "a"));
  placement_.mode = Mode::kLogOnly;
  placement_.policy = "popularity";
  SetPlacement();
  EXPECT_EQ(Ask(OwnedRequest().request).policy, "popularity");
}

// ---- Notes ----

TEST_F(DecideTest, AModelThatCouldNotBePublishedIsSaidAndTheRulesAnswer) {
  placement_.fixed_policy = "rules";
  placement_.policy = "huge";
  placement_.reward.largest = 1e300;  // half of it is the prior deviation, which no float holds
  SetPlacement();
  log_.Write(now_, PolicySet{MakeLinear("huge")});
  EXPECT_THAT(Ask(OwnedRequest().request).notes, Contains(DecisionNote::kNothingPublished));
  EXPECT_THAT(Slate(), ElementsAre("d", "b", "e"));
  EXPECT_EQ(decision_.policy, "rules");
}

TEST_F(DecideTest, AnOrdinaryAnswerHasNoNotes) {
  SetPlacement();
  EXPECT_THAT(Ask(OwnedRequest().request).notes, IsEmpty());
}

TEST_F(DecideTest, AnUnknownCustomerIsSaidAndAnswered) {
  SetPlacement();
  OwnedRequest request;
  request.request.customer_id = "nobody";
  EXPECT_THAT(Ask(request.request).notes, ElementsAre(DecisionNote::kUnknownCustomer));
  EXPECT_TRUE(decision_.used_customer);  // the record names them: what they do next is theirs
  request.request.customer_id = "ann";
  EXPECT_THAT(Ask(request.request).notes, IsEmpty());
}

TEST_F(DecideTest, UnknownOffersAreNamedAndRankedByTheirInlineFacts) {
  placement_.explorer = {ExplorerKind::kGreedy, 0};
  Teach();
  OwnedRequest request;
  request.AddCandidate("a", 0.3);
  request.AddCandidate("not in the catalogue", 0.9);
  request.AddCandidate("nor this", 0.1);
  EXPECT_THAT(Ask(request.request).notes, ElementsAre(DecisionNote::kUnknownOffers));
  EXPECT_THAT(decision_.unknown_offers, ElementsAre("not in the catalogue", "nor this"));
  EXPECT_THAT(Slate(), ElementsAre("not in the catalogue", "a", "nor this"));
}

TEST_F(DecideTest, ADuplicateCandidateCountsOnceAndTheFirstIsKept) {
  placement_.explorer = {ExplorerKind::kGreedy, 0};
  Teach();
  OwnedRequest request;
  request.AddCandidate("a", 0.1);
  request.AddCandidate("b", 0.5);
  request.AddCandidate("a", 0.9);
  request.AddCandidate("a", 0.9);
  EXPECT_THAT(Ask(request.request).notes, ElementsAre(DecisionNote::kDuplicateCandidates, DecisionNote::kFewerThanAsked));
  EXPECT_THAT(Slate(), ElementsAre("b", "a"));
  EXPECT_EQ(decision_.num_candidates, 2);
}

// What is asked by key is decided as what is asked by id, to the bit.
TEST_F(DecideTest, OfferKeysAreAnotherWayToNameTheSameOffers) {
  placement_.matrix_share = 0.5;
  Teach();
  Rng rng(5);
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    OwnedRequest by_id, by_key;
    std::vector<uint64_t> keys;
    for (uint64_t n = 1 + rng.NextBits() % 9; n-- > 0;) {
      by_id.ids.emplace_back(1, static_cast<char>('a' + rng.NextBits() % 6));
      by_id.request.candidates.push_back({by_id.ids.back(), {}});
      keys.push_back(Fnv1aHash(by_id.ids.back()));
    }
    by_key.request.offer_keys = keys;
    for (OwnedRequest* request : {&by_id, &by_key}) request->request.customer_id = "ann";
    const std::string expected = Bytes(Ask(by_id.request, seed));
    EXPECT_FALSE(decision_.by_keys);
    EXPECT_EQ(Bytes(Ask(by_key.request, seed)), expected) << seed;
    EXPECT_TRUE(decision_.by_keys);
    for (const DecidedSlot& slot : decision_.slots) {
      const auto first = std::find(by_id.ids.begin(), by_id.ids.end(), slot.offer_id);
      EXPECT_EQ(slot.position, first - by_id.ids.begin());
    }
  }
}

TEST_F(DecideTest, KeysThatNoOfferHasAreLeftOutAndSaid) {
  placement_.policy = "rules";
  SetPlacement();
  const std::vector<uint64_t> keys = {7, Fnv1aHash("b"), Fnv1aHash("nobody"), Fnv1aHash("d"), 7};
  OwnedRequest request;
  request.request.offer_keys = keys;
  EXPECT_THAT(Ask(request.request).notes, ElementsAre(DecisionNote::kUnknownOffers, DecisionNote::kFewerThanAsked));
  EXPECT_THAT(decision_.unknown_keys, ElementsAre(0, 2, 4));
  EXPECT_THAT(Slate(), ElementsAre("d", "b"));
  EXPECT_EQ(decision_.num_candidates, 2);
}

TEST_F(DecideTest, TenThousandKeysAreAllScored) {
  std::vector<Offer> offers;
  std::vector<uint64_t> keys;
  for (int i = 0; i < 10'000; ++i) {
    offers.push_back(MakeOffer(absl::StrCat("many ", i), {"item a"}));
    keys.push_back(Fnv1aHash(offers.back().id.value()));
  }
  log_.Write(now_, OffersUpserted{offers});
  Teach();
  OwnedRequest request;
  request.request.offer_keys = keys;
  EXPECT_THAT(Ask(request.request).notes, IsEmpty());
  EXPECT_EQ(decision_.num_candidates, 10'000);
  EXPECT_EQ(decision_.slots.size(), 3u);
  request.request.offer_keys = {};
  EXPECT_THAT(Ask(request.request).notes, ElementsAre(DecisionNote::kPrefiltered));
}

TEST_F(DecideTest, NoCandidateLeftIsAnEmptySlateWithTheReason) {
  placement_.campaigns = {"a campaign without offers"};
  SetPlacement();
  EXPECT_THAT(Ask(OwnedRequest().request).notes, ElementsAre(DecisionNote::kNoCandidates));
  EXPECT_THAT(Slate(), IsEmpty());
  EXPECT_EQ(decision_.num_candidates, 0);
}

TEST_F(DecideTest, OnlyOffersOfThePlacementsCampaignsAreGathered) {
  Offer offer = MakeOffer("spring offer");
  offer.campaign = "spring";
  log_.Write(now_, OffersUpserted{{offer}});
  placement_.campaigns = {"summer", "spring"};
  SetPlacement();
  EXPECT_THAT(Ask(OwnedRequest().request).notes, ElementsAre(DecisionNote::kFewerThanAsked));
  EXPECT_THAT(Slate(), ElementsAre("spring offer"));
}

TEST_F(DecideTest, ASlateLargerThanThePlacementsIsCut) {
  SetPlacement();
  OwnedRequest request;
  request.request.slate_size = 4;
  EXPECT_THAT(Ask(request.request).notes, ElementsAre(DecisionNote::kSlateSizeCoerced));
  EXPECT_EQ(decision_.slots.size(), 3u);
  request.request.slate_size = 3;
  EXPECT_THAT(Ask(request.request).notes, IsEmpty());
  request.request.slate_size = 1;
  EXPECT_THAT(Ask(request.request).notes, IsEmpty());
  EXPECT_EQ(decision_.slots.size(), 1u);
}

TEST_F(DecideTest, DeniedConsentUsesNoProfileAndNamesNobody) {
  Policy personal = MakeLinear("personal");
  personal.features.features = {NumericFeature("v", {FactScope::kComputed, "visits"}),
                                NumericFeature("age", {FactScope::kCustomer, "age"})};
  log_.Write(now_, PolicySet{personal});
  placement_.policy = "personal";
  SetPlacement();
  Customer ann;
  ann.id = CustomerId("ann");
  ann.attributes = {{"age", false, 41, ""}};
  for (const bool stored : {false, true}) {
    ann.consent = stored ? Consent::kDenied : Consent::kUnspecified;
    log_.Write(now_, CustomersUpserted{{ann}});
    OwnedRequest request;
    request.request.customer_id = "ann";
    request.request.consent = stored ? Consent::kUnspecified : Consent::kDenied;
    EXPECT_THAT(Ask(request.request).notes, ElementsAre(DecisionNote::kConsentDenied));
    EXPECT_FALSE(decision_.used_customer);
    EXPECT_EQ(decision_.features.maxCoeff(), 0);
    request.request.consent = Consent::kGranted;  // what the request says goes before what is stored
    EXPECT_THAT(Ask(request.request).notes, IsEmpty());
    EXPECT_TRUE(decision_.used_customer);
    EXPECT_EQ(decision_.features(0, 0), 1);
    EXPECT_EQ(decision_.features(0, 1), 41);
  }
}

TEST_F(DecideTest, MoreThanAThousandOffersAreCutToTheFirstByTheFixedOrder) {
  std::vector<Offer> offers;
  for (int i = 0; i < 1'500; ++i) offers.push_back(MakeOffer(absl::StrCat("z", 10'000 + i)));
  log_.Write(now_, OffersUpserted{offers});
  placement_.fixed_policy = "rules2";
  log_.Write(now_, PolicySet{MakeFixed("rules2", {"z11499"})});
  placement_.matrix_share = 1;
  SetPlacement();
  EXPECT_THAT(Ask(OwnedRequest().request).notes, ElementsAre(DecisionNote::kPrefiltered));
  EXPECT_EQ(decision_.num_candidates, kMaxCandidates);
  EXPECT_THAT(decision_.candidate_ids, Contains("z11499"));  // named
  EXPECT_THAT(decision_.candidate_ids, Contains("e"));       // sells
  EXPECT_THAT(decision_.candidate_ids, Contains("z10992"));  // after a to f and the named one, 993 by id
  EXPECT_THAT(decision_.candidate_ids, Not(Contains("z10993")));
}

// ---- Purity, probabilities, the gate ----

struct Case {
  OwnedRequest request;
  uint64_t seed;
};

TEST_F(DecideTest, TheSameInputsGiveTheSameBytesWhateverTheScratchWasUsedFor) {
  placement_.randomised_share.share = 0.3;
  placement_.matrix_share = 0.5;
  Teach();
  placement_.name = "rules only";
  placement_.policy = "rules";
  SetPlacement();
  Rng rng(1);
  std::vector<std::unique_ptr<Case>> cases;
  std::vector<std::string> answers;
  for (int i = 0; i < 100; ++i) {
    std::unique_ptr<Case> one(new Case{OwnedRequest(i % 3 == 0 ? "rules only" : "home"), rng.NextBits()});
    if (i % 2 == 0) one->request.request.customer_id = "ann";
    if (i % 4 != 0) {
      for (uint64_t n = 1 + rng.NextBits() % 30; n-- > 0;) {
        one->request.AddCandidate(absl::StrCat(rng.NextBits() % 3 == 0 ? "unknown" : "", std::string(1, static_cast<char>('a' + n % 8))),
                                  rng.NextUniform(), rng.NextUniform());
      }
    }
    DecideScratch fresh_scratch;
    Decision fresh;
    ASSERT_OK(::offerd::Decide(log_.state(), one->request.request, one->seed, now_, fresh_scratch, fresh));
    answers.push_back(Bytes(fresh));
    cases.push_back(std::move(one));
  }
  const State copy = log_.state();
  for (int i = 0; i < 300; ++i) {
    const size_t at = rng.NextBits() % cases.size();
    ASSERT_OK(::offerd::Decide(copy, cases[at]->request.request, cases[at]->seed, now_, scratch_, decision_));
    EXPECT_EQ(Bytes(decision_), answers[at]) << at;
  }
}

// What the slate was drawn from, made again from the record: matrix, model and placement.
SlateInput RemakeInput(const State& state, const Decision& decision, FloatRowMatrix& scores, std::vector<double>& mean,
                       std::vector<int32_t>& tie_rank) {
  const int n = decision.num_candidates;
  state.FindPolicy(decision.policy)->in_force->policy.Score(decision.features, scores);
  mean.clear();
  tie_rank.clear();
  for (int i = 0; i < n; ++i) {
    mean.push_back(static_cast<double>(scores(i, 0)));
    const auto& ids = decision.candidate_ids;
    tie_rank.push_back(static_cast<int32_t>(
        std::count_if(ids.begin(), ids.end(), [&](const std::string& id) { return id < ids[static_cast<size_t>(i)]; })));
  }
  const Placement& placement = decision.placement->placement;
  SlateInput input;
  input.num_candidates = n;
  input.mean = mean;
  input.bag_scores = &scores;
  input.tie_rank = tie_rank;
  input.slots = placement.slate_size;
  input.explorer = placement.explorer;
  input.random = placement.randomised_share;
  return input;
}

TEST_F(DecideTest, LoggedProbabilitiesAreThoseMadeAgainFromTheRecordedMatrix) {
  placement_.randomised_share = {0.2, RandomKind::kBounded, 1};
  placement_.explorer = {ExplorerKind::kThompson, 0.1};
  placement_.matrix_share = 1;
  placement_.slate_size = 5;
  Teach();
  FloatRowMatrix scores;
  std::vector<double> mean;
  std::vector<int32_t> tie_rank;
  Rng rng(4);
  for (uint64_t seed = 0; seed < 100; ++seed) {
    OwnedRequest request;
    for (const char* id : {"f", "b", "unknown", "a", "e", "c", "another"}) request.AddCandidate(id, rng.NextUniform(), rng.NextUniform());
    const Decision& decision = Ask(request.request, seed);
    ASSERT_EQ(decision.slots.size(), 5u);
    const SlateInput input = RemakeInput(log_.state(), decision, scores, mean, tie_rank);
    std::vector<uint8_t> placed(7, 0);
    std::vector<double> probability(7), explorer(7);
    SlateScratch scratch;
    for (int s = 0; s < 5; ++s) {
      SlotDistribution(input, s, placed, scratch, absl::MakeSpan(probability), absl::MakeSpan(explorer));
      const auto [slow, slow_explorer] = ReferenceSlotDistribution(input, s, placed);
      const DecidedSlot& slot = decision.slots[static_cast<size_t>(s)];
      const size_t at = static_cast<size_t>(slot.candidate);
      EXPECT_EQ(slot.offer_id, decision.candidate_ids[at]);
      EXPECT_EQ(slot.probability, probability[at]);
      EXPECT_EQ(slot.explorer_probability, explorer[at]);
      EXPECT_NEAR(slot.probability, slow[at], 1e-12);
      EXPECT_NEAR(slot.explorer_probability, slow_explorer[at], 1e-12);
      EXPECT_GT(slot.probability, 0);
      placed[at] = 1;
    }
  }
}

TEST_F(DecideTest, NoSlateOfARandomCatalogueGetsPastTheGate) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Rng rng(seed);
    LogWriter log;
    log.Write(now_, PolicySet{MakeLinear("model")});
    placement_.randomised_share.share = 0.2;
    placement_.matrix_share = 1;
    log.Write(now_, PlacementSet{placement_});
    const auto chance = [&rng](double p) { return rng.NextUniform() < p; };
    std::vector<Item> items;
    for (int i = 0; i < 20; ++i) {
      items.push_back(MakeItem(absl::StrCat("i", i)));
      if (chance(0.5)) items.back().unavailable_markets = {"fr"};
    }
    log.Write(now_, ItemsUpserted{items});
    std::vector<Offer> offers;
    for (int i = 0; i < 100; ++i) {
      Offer offer = MakeOffer(absl::StrCat("o", i));
      for (uint64_t k = rng.NextBits() % 3; k-- > 0;) offer.item_ids.push_back(absl::StrCat("i", rng.NextBits() % 22));
      offer.campaign = chance(0.5) ? "spring" : "summer";
      if (chance(0.2)) offer.starts_at = now_ + (chance(0.5) ? 1 : 0);
      if (chance(0.2)) offer.ends_at = now_ + (chance(0.5) ? 1 : 0);
      if (chance(0.2)) offer.markets = {chance(0.5) ? "fr" : "de"};
      if (chance(0.2)) offer.stock = 1;
      if (chance(0.2)) offer.budget_micros = 1;
      offer.cost_micros = 1;
      offer.requires_consent = chance(0.2);
      offer.only_sent = chance(0.2);
      if (chance(0.2)) offer.audiences = {"vip"};
      offers.push_back(offer);
    }
    log.Write(now_, OffersUpserted{offers});
    Customer ann;
    ann.id = CustomerId("ann");
    ann.audiences = {"vip"};
    ann.campaigns = {"spring"};
    log.Write(now_, CustomersUpserted{{ann}});
    for (int step = 0; step < 30; ++step) {
      OwnedRequest request;
      if (chance(0.5)) request.request.customer_id = "ann";
      request.request.consent = static_cast<Consent>(rng.NextBits() % 3);
      if (chance(0.3)) {
        for (int i = 0; i < 20; ++i) request.AddCandidate(absl::StrCat("o", 5 * i));
      }
      ASSERT_OK(::offerd::Decide(log.state(), request.request, rng.NextBits(), now_, scratch_, decision_));
      EXPECT_EQ(decision_.gate_leaks, 0);
      const Consent consent = request.request.consent;
      const bool sees_ann = !request.request.customer_id.empty() && consent != Consent::kDenied;
      const Catalogue& catalogue = log.state().catalogue;
      const GateContext gate{now_, "fr", sees_ann ? log.state().customers.Find("ann") : nullptr, consent == Consent::kGranted, &catalogue, {}};
      int excluded[kNumExclusions] = {};
      int passed = 0;
      for (const OfferIndex index : catalogue.offer_table().by_id) {
        const std::string& id = catalogue.OfferAt(index).id.value();
        if (!request.ids.empty() && std::find(request.ids.begin(), request.ids.end(), id) == request.ids.end()) continue;
        const Exclusion exclusion = CheckGate(gate, index);
        EXPECT_EQ(CheckGate(gate, index, false), exclusion);  // the short way for plain offers says the same
        if (exclusion == Exclusion::kNone) {
          ++passed;
        } else {
          ++excluded[static_cast<int>(exclusion)];
        }
      }
      EXPECT_EQ(decision_.num_candidates, passed);
      for (int e = 0; e < kNumExclusions; ++e) EXPECT_EQ(decision_.excluded[e], excluded[e]) << e;
      DecisionChange change;
      change.id = DecisionId(absl::StrCat("d", step));
      change.placement = "home";
      for (const DecidedSlot& slot : decision_.slots) {
        const OfferIndex index = catalogue.FindOffer(slot.offer_id);
        EXPECT_EQ(CheckGate(gate, index), Exclusion::kNone) << slot.offer_id;
        change.slots.push_back({OfferId(slot.offer_id), {}});
      }
      log.Write(now_, change);
      if (decision_.slots.empty()) continue;
      Event bought = MakeEvent(EventKind::kPurchase, now_);  // uses up stock and budget
      bought.decision_id = change.id;
      bought.offer_id = OfferId(decision_.slots[0].offer_id);
      log.Write(now_, bought);
    }
  }
}

class DecideSlow : public DecideTest {};

TEST_F(DecideSlow, TheFirstSlotIsDrawnAsOftenAsItsProbabilitySays) {
  placement_.randomised_share = {0.2, RandomKind::kBounded, 2};
  placement_.explorer = {ExplorerKind::kThompson, 0.05};
  placement_.matrix_share = 1;
  Teach(20);
  OwnedRequest request;
  for (const char* id : {"f", "b", "a", "unknown", "e", "c", "d"}) request.AddCandidate(id, 0.4 + 0.05 * (id[0] % 7), 0.1 * (id[0] % 5));
  FloatRowMatrix scores;
  std::vector<double> mean;
  std::vector<int32_t> tie_rank;
  const SlateInput input = RemakeInput(log_.state(), Ask(request.request, 0), scores, mean, tie_rank);
  const std::vector<double> expected = ReferenceSlotDistribution(input, 0, std::vector<uint8_t>(7, 0)).first;
  std::vector<int64_t> counts(7, 0);
  for (uint64_t seed = 0; seed < 200'000; ++seed) {
    const DecidedSlot& first = Ask(request.request, seed).slots[0];
    const size_t at = static_cast<size_t>(first.candidate);
    ++counts[at];
    ASSERT_NEAR(first.probability, expected[at], 1e-12);
  }
  EXPECT_GT(std::count_if(expected.begin(), expected.end(), [](double p) { return p > 0.001; }), 3);
  EXPECT_LT(ChiSquareDeviate(counts, expected), kChiSquareLimit);
}

}  // namespace
}  // namespace offerd
