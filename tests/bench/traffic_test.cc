#include "bench/load/traffic.h"

#include <set>
#include <string>

#include "core/hash.h"
#include "google/protobuf/message.h"
#include "gtest/gtest.h"
#include "offerd/v1/feedback_service.pb.h"
#include "offerd/v1/offer_service.pb.h"

namespace offerd {
namespace {

template <typename Message>
Message Parse(const grpc::ByteBuffer& bytes) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(bytes.Dump(&slices).ok());
  std::string text;
  for (const grpc::Slice& slice : slices) text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  Message message;
  EXPECT_TRUE(message.ParseFromString(text));
  return message;
}

TrafficOptions Small() {
  TrafficOptions options;
  options.bodies = 3;
  options.weights.fill(1);
  return options;
}

TEST(TrafficTest, EachRankOffersHasItsOwnIdAndTheWantedCandidates) {
  Traffic traffic(Small(), 1);
  std::set<std::string> ids, customers;
  for (int i = 0; i < 30; ++i) {
    grpc::ByteBuffer bytes;
    traffic.Fill(CallKind::kRankOffers, &bytes);
    const auto request = Parse<v1::RankOffersRequest>(bytes);
    ids.insert(request.request_id());
    customers.insert(request.customer_id());
    EXPECT_EQ(request.placement(), "home");
    ASSERT_EQ(request.candidates_size(), 50);
    EXPECT_EQ(request.candidates(0).offer_id().rfind("offer-", 0), 0u);
  }
  EXPECT_EQ(ids.size(), 30u);
  EXPECT_EQ(customers.size(), 3u);  // the bodies come again
}

TEST(TrafficTest, CompactRankOffersNameTheSameOffersByKey) {
  TrafficOptions options = Small();
  Traffic plain(options, 1);
  options.compact = true;
  Traffic compact(options, 1);
  grpc::ByteBuffer bytes;
  plain.Fill(CallKind::kRankOffers, &bytes);
  const auto named = Parse<v1::RankOffersRequest>(bytes);
  compact.Fill(CallKind::kRankOffers, &bytes);
  const auto keyed = Parse<v1::RankOffersRequest>(bytes);
  EXPECT_EQ(keyed.candidates_size(), 0);
  ASSERT_EQ(keyed.offer_keys_size(), named.candidates_size());
  for (int i = 0; i < named.candidates_size(); ++i) EXPECT_EQ(keyed.offer_keys(i), Fnv1aHash(named.candidates(i).offer_id()));
}

TEST(TrafficTest, WithoutRequestIdsThereAreNone) {
  TrafficOptions options = Small();
  options.request_ids = false;
  Traffic traffic(options, 1);
  grpc::ByteBuffer bytes;
  traffic.Fill(CallKind::kRankOffers, &bytes);
  EXPECT_EQ(Parse<v1::RankOffersRequest>(bytes).request_id(), "");
}

TEST(TrafficTest, ListCallsAskForWhatTheyAreNamedAfter) {
  Traffic traffic(Small(), 1);
  grpc::ByteBuffer bytes;
  traffic.Fill(CallKind::kCrossSell, &bytes);
  EXPECT_EQ(Parse<v1::CrossSellRequest>(bytes).cart_size(), 5);
  traffic.Fill(CallKind::kSimilarItems, &bytes);
  EXPECT_NE(Parse<v1::SimilarItemsRequest>(bytes).item_id(), "");
  traffic.Fill(CallKind::kRecommendItems, &bytes);
  EXPECT_NE(Parse<v1::RecommendItemsRequest>(bytes).customer_id(), "");
  traffic.Fill(CallKind::kRecommendNext, &bytes);
  EXPECT_EQ(Parse<v1::RecommendNextRequest>(bytes).session_item_ids_size(), 5);
}

TEST(TrafficTest, EventsHaveTheWantedSizeAndIdsOfTheirOwn) {
  Traffic traffic(Small(), 1), other_run(Small(), 2);
  std::set<std::string> ids;
  for (int i = 1; i <= 200; ++i) {
    for (Traffic* each : {&traffic, &other_run}) {
      grpc::ByteBuffer bytes;
      each->FillBatch(i, &bytes);
      const auto batch = Parse<v1::FeedbackBatch>(bytes);
      EXPECT_EQ(batch.client_sequence(), i);
      ASSERT_EQ(batch.events_size(), 100);
      for (const v1::Event& event : batch.events()) {
        EXPECT_EQ(event.ByteSizeLong(), 100u);
        ids.insert(event.event_id());
      }
    }
  }
  grpc::ByteBuffer bytes;
  traffic.Fill(CallKind::kSendFeedback, &bytes);
  const auto call = Parse<v1::SendFeedbackRequest>(bytes);
  for (const v1::Event& event : call.events()) ids.insert(event.event_id());
  EXPECT_EQ(ids.size(), 2u * 200 * 100 + 100);
}

TEST(TrafficTest, CallsComeInTheSharesOfTheMix) {
  TrafficOptions options = Small();
  options.weights = *ParseMix("rank_offers=3,send_feedback=1");
  Traffic traffic(options, 1);
  int ranks = 0, others = 0;
  for (int i = 0; i < 10'000; ++i) {
    const CallKind kind = traffic.NextKind();
    ranks += kind == CallKind::kRankOffers;
    others += kind != CallKind::kRankOffers && kind != CallKind::kSendFeedback;
  }
  EXPECT_NEAR(ranks, 7500, 300);
  EXPECT_EQ(others, 0);
}

TEST(TrafficTest, AMixOfUnknownCallsOrWeightsIsRefused) {
  EXPECT_FALSE(ParseMix("").ok());
  EXPECT_FALSE(ParseMix("rank").ok());
  EXPECT_FALSE(ParseMix("rank_offers=0").ok());
  EXPECT_FALSE(ParseMix("rank_offers=x").ok());
  EXPECT_FALSE(ParseMix("rank_offers=1=2").ok());
  EXPECT_TRUE(ParseMix("rank_offers").ok());
}

}  // namespace
}  // namespace offerd
