#include <algorithm>
#include <string>

#include "core/hash.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/engine/shop.h"

namespace offerd {
namespace {

bool HasNote(const v1::RankOffersResponse& response, v1::RankOffersResponse::Note note) {
  return std::find(response.notes().begin(), response.notes().end(), note) != response.notes().end();
}

// The same answer, but for saying that it is one.
void ExpectRepeatOf(const v1::RankOffersResponse& first, v1::RankOffersResponse repeat) {
  ASSERT_TRUE(HasNote(repeat, v1::RankOffersResponse::REPEATED));
  repeat.mutable_notes()->RemoveLast();
  EXPECT_EQ(repeat.SerializeAsString(), first.SerializeAsString());
}

TEST(EngineRankTest, RepeatGetsTheSameListAndCountsOnce) {
  Shop shop;
  shop.OpenFurnished();
  const auto first = shop.Rank("r", "ann", kOpening);
  EXPECT_EQ(first.decision_id().size(), 32u);
  ExpectRepeatOf(first, shop.Rank("r", "ann", kOpening));
  EXPECT_EQ(shop.Status().decisions(), 1);
  EXPECT_EQ(shop.Learned().shown(), 3);
}

TEST(EngineRankTest, RepeatAfterARestartComesFromTheLog) {
  Shop shop;
  shop.OpenFurnished();
  v1::RankOffersRequest request = Shop::RankRequestOf("r", "ann", kOpening);
  request.set_slate_size(100);  // so that there is something to note
  request.add_candidates()->set_offer_id("o1");
  request.add_candidates()->set_offer_id("unheard of");
  const auto first = shop.Rank(request);
  for (const bool with_snapshot : {false, true}) {
    with_snapshot ? shop.Stop() : shop.Crash();
    shop.Open();
    ExpectRepeatOf(first, shop.Rank(request));
    v1::RankOffersRequest other = request;
    other.set_slate_size(2);
    v1::RankOffersResponse response;
    EXPECT_THAT(shop.engine->RankOffers(other, &response), StatusIs(absl::StatusCode::kAlreadyExists, "request_id"));
  }
  EXPECT_EQ(shop.Status().decisions(), 1);
}

TEST(EngineRankTest, CompactFormAnswersInPackedArraysAndIsRecordedLikeTheOther) {
  Shop shop;
  shop.OpenFurnished();
  v1::RankOffersRequest request = Shop::RankRequestOf("r", "ann", kOpening);
  v1::RankOffersRequest compact = request;
  for (const char* id : {"o2", "o0", "o1", "o2"}) {
    request.add_candidates()->set_offer_id(id);
    v1::GetOfferRequest get;
    get.set_offer_id(id);
    v1::Offer offer;
    ASSERT_OK(shop.engine->GetOffer(get, &offer));
    EXPECT_EQ(offer.offer_key(), Fnv1aHash(id));
    compact.add_offer_keys(offer.offer_key());
  }
  compact.add_offer_keys(12345);
  request.set_validate_only(true);
  const auto named = shop.Rank(request);
  const auto packed = shop.Rank(compact);
  EXPECT_EQ(packed.slots_size(), 0);
  ASSERT_EQ(packed.packed().index_size(), 3);
  ASSERT_EQ(packed.packed().score_size(), 3);
  ASSERT_EQ(packed.packed().probability_size(), 3);
  ASSERT_EQ(packed.packed().reason_size(), 3);
  for (int i = 0; i < 3; ++i) {
    const int at = static_cast<int>(packed.packed().index(i));
    ASSERT_LT(at, 3);  // the first mention, where there are two
    EXPECT_EQ(request.candidates(at).offer_id(), named.slots(i).offer_id());
    EXPECT_EQ(packed.packed().score(i), named.slots(i).score());
    EXPECT_EQ(packed.packed().probability(i), named.slots(i).probability());
    EXPECT_EQ(packed.packed().reason(i), named.slots(i).reason());
  }
  EXPECT_THAT(packed.unknown_keys(), ::testing::ElementsAre(4u));
  EXPECT_TRUE(HasNote(packed, v1::RankOffersResponse::UNKNOWN_OFFERS));

  ExpectRepeatOf(packed, shop.Rank(compact));
  EXPECT_EQ(shop.Send(Shop::Purchase("e", "ann", packed, kOpening)).fate(), v1::APPLIED);
  EXPECT_EQ(shop.Learned().shown(), 3);
  shop.Crash();
  Recovery recovery;
  ReplayReport report;
  ASSERT_NO_FATAL_FAILURE(shop.RecoverAndReplay(&recovery, &report));
  EXPECT_EQ(report.decisions, 1);
  shop.Open();
  ExpectRepeatOf(packed, shop.Rank(compact));
}

TEST(EngineRankTest, OtherBodyUnderTheSameIdIsAlreadyExists) {
  Shop shop;
  shop.OpenFurnished();
  (void)shop.Rank("r", "ann", kOpening);
  v1::RankOffersResponse response;
  EXPECT_THAT(shop.engine->RankOffers(Shop::RankRequestOf("r", "bob", kOpening), &response),
              StatusIs(absl::StatusCode::kAlreadyExists, "request_id"));
}

TEST(EngineRankTest, RequestIdIsFreeAgainAfterItsLifetime) {
  Shop shop;
  shop.OpenFurnished();
  const TimeMicros lifetime = shop.config.request_id_lifetime_seconds * kMicrosPerSecond;
  const auto first = shop.Rank("r", "ann", kOpening);
  const auto second = shop.Rank("r", "ann", kOpening + lifetime);
  EXPECT_FALSE(HasNote(second, v1::RankOffersResponse::REPEATED));
  EXPECT_NE(first.decision_id(), second.decision_id());
  EXPECT_EQ(shop.Status().decisions(), 2);
  EXPECT_EQ(shop.Send(Shop::Purchase("e", "ann", second, kOpening + lifetime)).fate(), v1::APPLIED);
}

TEST(EngineRankTest, MadeUpIdsNeverRepeat) {
  Shop shop;
  shop.OpenFurnished();
  const auto first = shop.Rank("", "ann", kOpening);
  const auto second = shop.Rank("", "ann", kOpening);
  EXPECT_NE(first.decision_id(), second.decision_id());
  EXPECT_EQ(shop.Status().decisions(), 2);
}

TEST(EngineRankTest, ValidateOnlyLogsAndLearnsNothing) {
  Shop shop;
  shop.OpenFurnished();
  const v1::ServerStatus before = shop.Status();
  v1::RankOffersRequest request = Shop::RankRequestOf("r", "ann", kOpening);
  request.set_validate_only(true);
  const auto tried = shop.Rank(request);
  EXPECT_EQ(tried.slots_size(), 3);
  EXPECT_EQ(tried.decision_id(), "");
  request.set_policy("popularity");
  EXPECT_EQ(shop.Rank(request).policy(), "popularity");
  const v1::ServerStatus after = shop.Status();
  EXPECT_EQ(after.last_sequence(), before.last_sequence());
  EXPECT_EQ(after.decisions(), 0);
  // Nor is the id taken.
  const auto real = shop.Rank("r", "ann", kOpening);
  EXPECT_FALSE(HasNote(real, v1::RankOffersResponse::REPEATED));
  ASSERT_EQ(real.slots_size(), tried.slots_size());
  for (int i = 0; i < real.slots_size(); ++i) EXPECT_EQ(real.slots(i).offer_id(), tried.slots(i).offer_id());
}

TEST(EngineRankTest, FailedRequestLeavesItsIdFree) {
  Shop shop;
  shop.OpenFurnished();
  v1::RankOffersRequest request = Shop::RankRequestOf("r", "ann", kOpening);
  request.set_placement("nowhere");
  v1::RankOffersResponse response;
  EXPECT_THAT(shop.engine->RankOffers(request, &response), StatusIs(absl::StatusCode::kNotFound, "placement"));
  EXPECT_EQ(shop.Rank("r", "ann", kOpening).slots_size(), 3);
}

TEST(EngineRankTest, PolicyWithoutValidateOnlyIsRefused) {
  Shop shop;
  shop.OpenFurnished();
  v1::RankOffersRequest request = Shop::RankRequestOf("r", "ann", kOpening);
  request.set_policy("learn");
  v1::RankOffersResponse response;
  EXPECT_THAT(shop.engine->RankOffers(request, &response), StatusIs(absl::StatusCode::kInvalidArgument, "policy"));
}

TEST(EngineRankTest, AsOfIsIgnoredAndSaidWhereTheClockIsTheWall) {
  Shop shop;
  shop.config.clock = ServerConfig::Clock::kWall;
  shop.OpenFurnished();
  const auto decision = shop.Rank("r", "ann", kOpening + kMicrosPerDay);
  EXPECT_TRUE(HasNote(decision, v1::RankOffersResponse::AS_OF_IGNORED));
  EXPECT_EQ(decision.time().seconds(), kOpening / kMicrosPerSecond);
  shop.Crash();
  shop.Open();
  ExpectRepeatOf(decision, shop.Rank("r", "ann", kOpening + kMicrosPerDay));
  shop.Crash();
  const auto report = Replay(*shop.OpenStore());
  ASSERT_OK(report);
  EXPECT_EQ(report->decisions, 1);
  EXPECT_EQ(report->differences, 0);
}

class EngineActivateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    shop_.OpenFurnished();
    v1::RankOffersRequest request = Shop::RankRequestOf("r", "ann", kOpening);
    request.set_defer_activation(true);
    decision_ = shop_.Rank(request);
  }
  absl::Status Activate(const std::string& id, std::initializer_list<int> slots, v1::ActivateResponse* response,
                        TimeMicros time = kOpening) {
    v1::ActivateRequest request;
    request.set_decision_id(id);
    for (const int slot : slots) request.add_slots(slot);
    *request.mutable_as_of() = ToTimestamp(time);
    response->Clear();
    return shop_.Call(&Engine::Activate, request, response);
  }
  Shop shop_;
  v1::RankOffersResponse decision_;
  v1::ActivateResponse response_;
};

TEST_F(EngineActivateTest, DeferredSlotsCountOnceTheyAreActivated) {
  EXPECT_EQ(shop_.Learned().shown(), 0);
  ASSERT_OK(Activate(decision_.decision_id(), {1}, &response_));
  EXPECT_EQ(response_.activated(), 1);
  EXPECT_EQ(shop_.Learned().shown(), 1);
  ASSERT_OK(Activate(decision_.decision_id(), {}, &response_));
  EXPECT_EQ(response_.activated(), 2);
  EXPECT_EQ(response_.already_active(), 1);
  EXPECT_EQ(shop_.Learned().shown(), 3);
}

TEST_F(EngineActivateTest, TwiceIsTheSameAsOnce) {
  ASSERT_OK(Activate(decision_.decision_id(), {0, 0}, &response_));
  EXPECT_EQ(response_.activated(), 1);
  const Sequence last = shop_.Status().last_sequence();
  ASSERT_OK(Activate(decision_.decision_id(), {0}, &response_));
  EXPECT_EQ(response_.activated(), 0);
  EXPECT_EQ(response_.already_active(), 1);
  EXPECT_EQ(shop_.Learned().shown(), 1);
  EXPECT_EQ(shop_.Status().last_sequence(), last);
}

TEST_F(EngineActivateTest, UnknownDecisionIsNotFound) {
  EXPECT_THAT(Activate("nobody knows", {}, &response_), StatusIs(absl::StatusCode::kNotFound, "decision_id"));
}

TEST_F(EngineActivateTest, SlotOutOfRangeIsRefusedByName) {
  EXPECT_THAT(Activate(decision_.decision_id(), {0, 3}, &response_), StatusIs(absl::StatusCode::kInvalidArgument, "slots[1]"));
  EXPECT_THAT(Activate(decision_.decision_id(), {-1}, &response_), StatusIs(absl::StatusCode::kInvalidArgument, "slots[0]"));
  EXPECT_EQ(shop_.Learned().shown(), 0);
}

TEST_F(EngineActivateTest, ClosedDecisionSaysSoAlsoWhereTheCallIsFirstToComeAfterItsEnd) {
  EXPECT_THAT(Activate(decision_.decision_id(), {}, &response_, kOpening + 3 * 60 * kMinute),
              StatusIs(absl::StatusCode::kFailedPrecondition, "closed"));
  EXPECT_EQ(shop_.Learned().shown(), 0);
}

}  // namespace
}  // namespace offerd
