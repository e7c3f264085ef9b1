#include <string>

#include "gtest/gtest.h"
#include "tests/server/engine/shop.h"

namespace offerd {
namespace {

class MergeShop : public Shop {
 public:
  absl::Status Merge(const std::string& from, const std::string& to) {
    v1::MergeRequest request;
    request.set_customer_id(from);
    request.set_into_customer_id(to);
    v1::MergeResponse response;
    return Call(&Engine::Merge, request, &response);
  }
  // A visit with a purchase of what stood first.
  void Visit(const std::string& customer, int minute) {
    const std::string id = absl::StrCat(customer, "-", minute);
    const TimeMicros time = kOpening + minute * kMinute;
    Send(Purchase(id, customer, Rank(id, customer, time), time + 1));
  }
};

TEST(EngineMergeTest, ASessionBecomesAKnownCustomerCountsIncluded) {
  MergeShop shop;
  shop.OpenFurnished();
  shop.Visit("ann", 0);
  shop.Visit("session-1", 1);
  shop.Visit("session-1", 2);
  ASSERT_OK(shop.Merge("session-1", "ann"));
  EXPECT_EQ(shop.VisitsOf("ann"), 3);
  EXPECT_EQ(shop.VisitsOf("session-1"), 0);
  for (const bool crash : {true, false}) {  // from the log, and from a base
    if (crash) {
      shop.Crash();
    } else {
      ASSERT_OK(shop.Snapshot());
      shop.Stop();
    }
    shop.Open();
    EXPECT_EQ(shop.VisitsOf("ann"), 3);
    EXPECT_EQ(shop.VisitsOf("session-1"), 0);
  }
}

TEST(EngineMergeTest, WhatTheSessionWasShownIsRewardedByWhatTheCustomerBuys) {
  MergeShop shop;
  shop.OpenFurnished();
  shop.Visit("ann", 0);
  const v1::RankOffersResponse shown = shop.Rank("r", "session-1", kOpening + kMinute);
  shop.Visit("session-1", 2);
  ASSERT_OK(shop.Merge("session-1", "ann"));
  const std::string before = shop.Learned().state_checksum();
  v1::Event bought = Shop::Purchase("later", "ann", shown, kOpening + 3 * kMinute);
  bought.clear_decision_id();  // found by the customer alone
  EXPECT_EQ(shop.Send(bought).fate(), v1::APPLIED);
  EXPECT_NE(shop.Learned().state_checksum(), before);
}

TEST(EngineMergeTest, UnknownAndMergedCustomersAreRefused) {
  MergeShop shop;
  shop.OpenFurnished();
  shop.Visit("ann", 0);
  shop.Visit("session-1", 1);
  EXPECT_THAT(shop.Merge("nobody", "ann"), StatusIs(absl::StatusCode::kNotFound, "customer_id"));
  EXPECT_THAT(shop.Merge("ann", "nobody"), StatusIs(absl::StatusCode::kNotFound, "into_customer_id"));
  EXPECT_THAT(shop.Merge("ann", "ann"), StatusIs(absl::StatusCode::kInvalidArgument, "the same"));
  EXPECT_THAT(shop.Merge("", "ann"), StatusIs(absl::StatusCode::kInvalidArgument, "customer_id"));
  ASSERT_OK(shop.Merge("session-1", "ann"));
  EXPECT_THAT(shop.Merge("session-1", "ann"), StatusIs(absl::StatusCode::kNotFound, "merged before"));
  EXPECT_EQ(shop.VisitsOf("ann"), 2);
}

TEST(EngineMergeTest, AMergedSessionCanBeUsedAgain) {
  MergeShop shop;
  shop.OpenFurnished();
  shop.Visit("ann", 0);
  shop.Visit("session-1", 1);
  ASSERT_OK(shop.Merge("session-1", "ann"));
  shop.Visit("session-1", 5);
  EXPECT_EQ(shop.VisitsOf("session-1"), 1);
  ASSERT_OK(shop.Merge("session-1", "ann"));
  EXPECT_EQ(shop.VisitsOf("ann"), 3);
}

}  // namespace
}  // namespace offerd
