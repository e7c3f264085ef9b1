#include "core/candidates/gate.h"

#include "tests/core/log_writer.h"

namespace offerd {
namespace {

constexpr TimeMicros kNow = kDayZero;

// One offer and one person, changed by each test before it asks.
struct Scene {
  Offer offer = MakeOffer("o", {"i"});
  OfferUse use;
  Profile profile;
  bool is_known = true;
  bool has_consent = false;
  bool item_is_known = true;
  std::vector<std::string> item_unavailable_in;

  Exclusion Check() const {
    Catalogue catalogue;
    if (item_is_known) {
      Item item = MakeItem("i");
      item.unavailable_markets = item_unavailable_in;
      catalogue.UpsertItem(item);
    }
    catalogue.UpsertOffers({MakeOffer("another"), offer}, 1);
    const OfferIndex index = catalogue.FindOffer("o");
    catalogue.MutateUse(index) = use;
    return CheckGate({kNow, "fr", is_known ? &profile : nullptr, has_consent, &catalogue, {}}, index);
  }
};

TEST(GateTest, AnOfferWithoutConditionsPasses) {
  Scene scene;
  EXPECT_EQ(scene.Check(), Exclusion::kNone);
  scene.is_known = false;
  EXPECT_EQ(scene.Check(), Exclusion::kNone);
}

TEST(GateTest, DatesAreHalfOpen) {
  Scene scene;
  scene.offer.starts_at = kNow;
  scene.offer.ends_at = kNow + 1;
  EXPECT_EQ(scene.Check(), Exclusion::kNone);
  scene.offer.starts_at = kNow + 1;
  EXPECT_EQ(scene.Check(), Exclusion::kNotStarted);
  scene.offer.starts_at = kNow - 1;
  scene.offer.ends_at = kNow;
  EXPECT_EQ(scene.Check(), Exclusion::kEnded);
}

TEST(GateTest, AnOfferOfOtherMarketsIsOut) {
  Scene scene;
  scene.offer.markets = {"de", "fr"};
  EXPECT_EQ(scene.Check(), Exclusion::kNone);
  scene.offer.markets = {"de", "f", "frx"};
  EXPECT_EQ(scene.Check(), Exclusion::kMarket);
}

TEST(GateTest, StockIsComparedWithRedemptions) {
  Scene scene;
  scene.use.redemptions = 1'000;  // no limit declared
  EXPECT_EQ(scene.Check(), Exclusion::kNone);
  scene.offer.stock = 1'001;
  EXPECT_EQ(scene.Check(), Exclusion::kNone);
  scene.offer.stock = 1'000;
  EXPECT_EQ(scene.Check(), Exclusion::kStock);
}

TEST(GateTest, AnOfferWhoseItemsCannotBeBoughtIsOut) {
  Scene scene;
  scene.item_unavailable_in = {"fr"};
  EXPECT_EQ(scene.Check(), Exclusion::kStock);
  scene.item_unavailable_in = {"de"};
  EXPECT_EQ(scene.Check(), Exclusion::kNone);
}

TEST(GateTest, BudgetIsComparedWithMoneySpent) {
  Scene scene;
  scene.use.spent_micros = 5'000'000;  // no limit declared
  EXPECT_EQ(scene.Check(), Exclusion::kNone);
  scene.offer.budget_micros = 5'000'001;
  EXPECT_EQ(scene.Check(), Exclusion::kNone);
  scene.offer.budget_micros = 5'000'000;
  EXPECT_EQ(scene.Check(), Exclusion::kBudget);
}

TEST(GateTest, APersonalOfferNeedsConsent) {
  Scene scene;
  scene.offer.requires_consent = true;
  EXPECT_EQ(scene.Check(), Exclusion::kConsent);
  scene.has_consent = true;
  EXPECT_EQ(scene.Check(), Exclusion::kNone);
}

TEST(GateTest, AnAudienceMustBeShared) {
  Scene scene;
  scene.offer.audiences = {"vip", "new"};
  EXPECT_EQ(scene.Check(), Exclusion::kEligibility);
  scene.profile.customer.audiences = {"other", "new"};
  EXPECT_EQ(scene.Check(), Exclusion::kNone);
  scene.is_known = false;
  EXPECT_EQ(scene.Check(), Exclusion::kEligibility);
}

TEST(GateTest, OnlySentMeansTheOffersCampaignWasSent) {
  Scene scene;
  scene.offer.only_sent = true;
  scene.offer.campaign = "spring";
  EXPECT_EQ(scene.Check(), Exclusion::kEligibility);
  scene.profile.customer.campaigns = {"spring"};
  EXPECT_EQ(scene.Check(), Exclusion::kNone);
  scene.offer.audiences = {"vip"};  // both conditions hold together
  EXPECT_EQ(scene.Check(), Exclusion::kEligibility);
  scene.is_known = false;
  EXPECT_EQ(scene.Check(), Exclusion::kEligibility);
}

TEST(GateTest, NamesAreThoseOfTheWireContract) {
  const absl::string_view expected[kNumExclusions] = {"none",  "not_started", "ended",   "market",
                                                      "stock", "eligibility", "consent", "budget",
                                                      "customer", "frequency"};
  for (int i = 0; i < kNumExclusions; ++i) EXPECT_EQ(ExclusionName(static_cast<Exclusion>(i)), expected[i]);
}

}  // namespace
}  // namespace offerd
