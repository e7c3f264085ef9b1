#include "core/features/facts.h"

#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "tests/core/log_writer.h"

namespace offerd {
namespace {

// Ann bought tea on day 0, cake on day 28, and both on day 56; it is the morning of day 112. Offer "teas" covers two teas.
class FactsTest : public ::testing::Test {
 protected:
  FactsTest() {
    Item green = MakeItem("green", "tea", "acme");
    green.price_micros = 4'000'000;
    green.cost_micros = 1'000'000;
    Item black = MakeItem("black", "tea", "bolt");
    black.price_micros = 6'000'000;
    black.cost_micros = 2'000'000;
    log_.Write(kDayZero, ItemsUpserted{{green, black, MakeItem("cake", "sweets")}});
    Offer teas = MakeOffer("teas", {"green", "black"});
    teas.campaign = "spring";
    teas.stock = 10;
    teas.starts_at = kDayZero + 100 * kMicrosPerDay;
    teas.ends_at = kDayZero + 114 * kMicrosPerDay;
    teas.attributes = {{"colour", true, 0, "red"}, {"weight", false, 2.5, ""}};
    log_.Write(kDayZero, OffersUpserted{{teas, MakeOffer("plain"), MakeOffer("cakes", {"cake"})}});
    Customer ann;
    ann.id = CustomerId("ann");
    ann.campaigns = {"spring"};
    ann.attributes = {{"age", false, 41, ""}, {"segment", true, 0, "gold"}};
    Customer bob;
    bob.id = CustomerId("bob");
    log_.Write(kDayZero, CustomersUpserted{{ann, bob}});
    log_.Write(kDayZero, MakePurchase("ann", kDayZero, {"green"}, "1"));
    log_.Write(kDayZero + 28 * kMicrosPerDay, MakePurchase("ann", kDayZero + 28 * kMicrosPerDay, {"cake"}, "2"));
    log_.Write(kDayZero + 56 * kMicrosPerDay, MakePurchase("ann", kDayZero + 56 * kMicrosPerDay, {"black", "cake"}, "3"));
  }

  Fact Read(FactScope scope, const std::string& name, const char* offer = "teas", const char* customer = "ann") {
    const auto plan = FactPlan::Make(std::vector<FactName>{{scope, name}});
    EXPECT_OK(plan);
    if (!plan.ok()) return Fact::Missing();
    const State& state = log_.state();
    const FactSources sources = Sources(customer);
    const OfferIndex index = state.catalogue.FindOffer(offer);
    const FactCandidate candidate{index, index == kNoOffer ? nullptr : &state.catalogue.RowOf(index), inline_};
    plan->Fill(sources, {&candidate, 1}, scratch_, facts_);
    return facts_.At(0, 0);
  }
  FactSources Sources(const char* customer) {
    const State& state = log_.state();
    return {now_, context_, state.customers.Find(customer), &state.catalogue, &state.population, has_cart_ ? &cart_scores_ : nullptr};
  }
  // nullopt when missing.
  std::optional<double> Computed(const std::string& name, const char* offer = "teas", const char* customer = "ann") {
    const Fact fact = Read(FactScope::kComputed, name, offer, customer);
    if (fact.kind == Fact::Kind::kMissing) return std::nullopt;
    EXPECT_EQ(fact.kind, Fact::Kind::kNumber);
    return fact.number;
  }

  LogWriter log_;
  TimeMicros now_ = kDayZero + 112 * kMicrosPerDay + 9 * 3600 * kMicrosPerSecond;
  std::vector<NamedFact> context_, inline_;
  FactScratch scratch_;
  FactColumns facts_;
  bool has_cart_ = true;
  absl::flat_hash_map<OfferIndex, double> cart_scores_ = {{OfferIndex{0}, 2.5}};
};

constexpr double kNine = 9.0 / 24;  // hours past midnight, in days

TEST_F(FactsTest, OfTheMoment) {
  EXPECT_EQ(Computed("hour"), 9);
  EXPECT_EQ(Computed("weekday"), 3);  // 112 days after a Thursday
  now_ += 4 * kMicrosPerDay;
  EXPECT_EQ(Computed("weekday"), 0);
  now_ = -1;  // the last microsecond of 1969-12-31, a Wednesday
  EXPECT_EQ(Computed("hour"), 23);
  EXPECT_EQ(Computed("weekday"), 2);
}

TEST_F(FactsTest, OfTheCustomersVisits) {
  EXPECT_EQ(Computed("is_known"), 1);
  EXPECT_EQ(Computed("visits"), 3);
  EXPECT_EQ(Computed("days_since_visit"), 56 + kNine);
  EXPECT_NEAR(*Computed("mean_basket_size"), 4.0 / 3, 1e-12);
  EXPECT_NEAR(*Computed("visits_per_week"), 3 / ((112 + kNine) / 7), 1e-12);
}

TEST_F(FactsTest, VisitsPerWeekCountsAtLeastOneWeek) {
  log_.Write(now_, MakePurchase("carl", now_, {"cake"}));
  EXPECT_EQ(Computed("visits_per_week", "teas", "carl"), 1);
}

TEST_F(FactsTest, OfOwnCounts) {
  now_ = kDayZero + 112 * kMicrosPerDay;
  const double rate = 5.0 / 7;  // of 2^-4 + 2^-3 + 2^-2 visits, 2^-4 + 2^-2 held tea
  const double fading_visits = (1 + std::exp2(-0.5) + 0.5) / 2;
  EXPECT_EQ(Computed("own_offer_count"), 2);
  EXPECT_EQ(Computed("own_offer_count_decayed"), 0.75);
  EXPECT_NEAR(*Computed("own_offer_rate"), (2 + 5 * rate) / (3 + 5), 1e-12);
  EXPECT_NEAR(*Computed("own_offer_rate_decayed"), (0.75 + 5 * rate) / (fading_visits + 5), 1e-12);
  EXPECT_EQ(Computed("own_category_count"), 2);
  EXPECT_EQ(Computed("own_category_count_decayed"), 0.75);
  EXPECT_NEAR(*Computed("own_category_rate"), (2 + 5 * rate) / (3 + 5), 1e-12);
  EXPECT_NEAR(*Computed("own_category_rate_decayed"), (0.75 + 5 * rate) / (fading_visits + 5), 1e-12);
  const double acme_rate = 1.0 / 7;  // day 0 alone
  EXPECT_NEAR(*Computed("own_brand_rate"), (1 + 5 * acme_rate) / (3 + 5), 1e-12);
  EXPECT_NEAR(*Computed("own_brand_rate_decayed"), (0.25 + 5 * acme_rate) / (fading_visits + 5), 1e-12);
}

TEST_F(FactsTest, OfRepeats) {
  EXPECT_EQ(Computed("days_since_offer"), 56 + kNine);
  EXPECT_EQ(Computed("days_since_category"), 56 + kNine);
  EXPECT_EQ(Computed("offer_mean_gap_days"), 56);
  EXPECT_EQ(Computed("category_mean_gap_days"), 56);
  EXPECT_NEAR(*Computed("offer_due"), (56 + kNine) / 56, 1e-12);
  EXPECT_NEAR(*Computed("category_due"), (56 + kNine) / 56, 1e-12);
  EXPECT_EQ(Computed("offer_mean_gap_days", "cakes"), 28);
  EXPECT_EQ(Computed("offer_due", "cakes"), 2);  // at most
  EXPECT_EQ(Computed("offer_bought_ever"), 1);
  EXPECT_EQ(Computed("offer_bought_last_visit"), 1);
  log_.Write(now_, MakePurchase("ann", now_, {"cake"}, "4"));
  EXPECT_EQ(Computed("offer_bought_last_visit"), 0);
  EXPECT_EQ(Computed("offer_bought_last_visit", "cakes"), 1);
}

TEST_F(FactsTest, ARepeatNeedsTwoVisitsAndAGapIsAtLeastADay) {
  log_.Write(now_, MakePurchase("carl", now_, {"green"}, "5"));
  EXPECT_EQ(Computed("offer_mean_gap_days", "teas", "carl"), std::nullopt);
  EXPECT_EQ(Computed("offer_due", "teas", "carl"), std::nullopt);
  log_.Write(now_, MakePurchase("carl", now_ + kMicrosPerDay / 4, {"black"}, "6"));
  EXPECT_EQ(Computed("offer_mean_gap_days", "teas", "carl"), 1);
}

TEST_F(FactsTest, OfThePopulation) {
  now_ = kDayZero + 112 * kMicrosPerDay;
  const double fast = (std::exp2(-16) + std::exp2(-8)) / (std::exp2(-16) + std::exp2(-12) + std::exp2(-8));
  EXPECT_NEAR(*Computed("offer_rate"), 5.0 / 7, 1e-12);
  EXPECT_NEAR(*Computed("offer_rate_fast"), fast, 1e-12);
  EXPECT_NEAR(*Computed("offer_trend"), fast / (5.0 / 7), 1e-12);
  EXPECT_NEAR(*Computed("category_rate"), 5.0 / 7, 1e-12);
  EXPECT_NEAR(*Computed("category_rate_fast"), fast, 1e-12);
  EXPECT_NEAR(*Computed("brand_rate"), 1.0 / 7, 1e-12);
  EXPECT_EQ(Computed("offer_rate", "plain"), 0);
  EXPECT_EQ(Computed("offer_trend", "plain"), std::nullopt);
}

TEST_F(FactsTest, OfTheOffer) {
  EXPECT_EQ(Computed("offer_items"), 2);
  EXPECT_EQ(Computed("offer_price"), 5);
  EXPECT_EQ(Computed("offer_margin"), 3.5);
  EXPECT_EQ(Computed("offer_remaining_stock"), 10);
  EXPECT_EQ(Computed("offer_age_days"), 12 + kNine);
  EXPECT_EQ(Computed("offer_days_left"), 2 - kNine);
  EXPECT_EQ(Computed("sent"), 1);
  EXPECT_EQ(Computed("sent", "teas", "bob"), 0);
  EXPECT_EQ(Computed("offer_items", "plain"), 0);
  EXPECT_EQ(Computed("offer_remaining_stock", "plain"), std::nullopt);
  EXPECT_EQ(Computed("offer_age_days", "plain"), std::nullopt);
  EXPECT_EQ(Computed("offer_days_left", "plain"), std::nullopt);
  EXPECT_EQ(Read(FactScope::kOffer, "colour").text, "red");
  EXPECT_EQ(Read(FactScope::kOffer, "weight").number, 2.5);
  EXPECT_EQ(Read(FactScope::kOffer, "size").kind, Fact::Kind::kMissing);
}

TEST_F(FactsTest, TheCartsScoreIsZeroForOthersAndMissingWithoutACart) {
  EXPECT_EQ(Computed("cart_score"), 2.5);
  EXPECT_EQ(Computed("cart_score", "plain"), 0);
  has_cart_ = false;
  EXPECT_EQ(Computed("cart_score"), std::nullopt);
}

TEST_F(FactsTest, EveryComputedFactIsDescribedAndReadable) {
  EXPECT_EQ(FactPlan::Computed().size(), 39u);
  for (const FactPlan::Description& description : FactPlan::Computed()) {
    SCOPED_TRACE(std::string(description.name));
    EXPECT_FALSE(description.text.empty());
    EXPECT_NE(Computed(std::string(description.name)), std::nullopt);  // ann and "teas" have them all
  }
}

TEST_F(FactsTest, WithoutVisitsCountsAreZeroAndTimesAreMissing) {
  for (const char* customer : {"bob", "nobody"}) {
    SCOPED_TRACE(customer);
    for (const char* name : {"is_known", "visits", "own_offer_count", "own_offer_count_decayed", "own_category_count",
                             "own_category_count_decayed", "offer_bought_ever", "offer_bought_last_visit"}) {
      EXPECT_EQ(Computed(name, "teas", customer), 0) << name;
    }
    for (const char* name : {"days_since_visit", "mean_basket_size", "visits_per_week", "days_since_offer", "days_since_category",
                             "offer_due", "category_due", "offer_mean_gap_days", "category_mean_gap_days"}) {
      EXPECT_EQ(Computed(name, "teas", customer), std::nullopt) << name;
    }
    EXPECT_EQ(Computed("own_offer_rate", "teas", customer), Computed("offer_rate"));  // the prior alone
  }
  EXPECT_EQ(Computed("sent", "teas", "nobody"), 0);
}

TEST_F(FactsTest, AnOfferTheCatalogueDoesNotKnowHasOnlySharedAndInlineFacts) {
  inline_ = {{"a", Fact::Number(3)}};
  EXPECT_EQ(Computed("visits", "unknown"), 3);
  EXPECT_EQ(Computed("own_offer_count", "unknown"), std::nullopt);
  EXPECT_EQ(Computed("offer_rate", "unknown"), std::nullopt);
  EXPECT_EQ(Computed("sent", "unknown"), std::nullopt);
  EXPECT_EQ(Read(FactScope::kOffer, "colour", "unknown").kind, Fact::Kind::kMissing);
  EXPECT_EQ(Read(FactScope::kCandidate, "a", "unknown").number, 3);
}

TEST_F(FactsTest, GivenFactsComeFromTheirScopeOnly) {
  context_ = {{"age", Fact::Number(1)}, {"page", Fact::Text("home")}};
  inline_ = {{"age", Fact::Number(2)}};
  EXPECT_EQ(Read(FactScope::kContext, "age").number, 1);
  EXPECT_EQ(Read(FactScope::kCandidate, "age").number, 2);
  EXPECT_EQ(Read(FactScope::kCustomer, "age").number, 41);
  EXPECT_EQ(Read(FactScope::kCustomer, "segment").text, "gold");
  EXPECT_EQ(Read(FactScope::kContext, "page").text, "home");
  EXPECT_EQ(Read(FactScope::kContext, "segment").kind, Fact::Kind::kMissing);
  EXPECT_EQ(Read(FactScope::kCandidate, "page").kind, Fact::Kind::kMissing);
  EXPECT_EQ(Read(FactScope::kCustomer, "age", "teas", "nobody").kind, Fact::Kind::kMissing);
}

TEST_F(FactsTest, AnUnknownComputedFactIsNamedWithTheKnownOnes) {
  const auto plan = FactPlan::Make(std::vector<FactName>{{FactScope::kComputed, "own_offer_rat"}});
  EXPECT_THAT(plan, StatusIs(absl::StatusCode::kInvalidArgument, "computed.own_offer_rat"));
  EXPECT_THAT(plan, StatusIs(absl::StatusCode::kInvalidArgument, "own_offer_rate_decayed"));
}

// A plan with one fact looks up only what that fact needs: the answer must not depend on its company.
TEST_F(FactsTest, AFactDoesNotDependOnTheOthersInThePlan) {
  std::vector<FactName> names;
  for (const FactPlan::Description& description : FactPlan::Computed()) {
    names.push_back({FactScope::kComputed, std::string(description.name)});
  }
  const auto plan = FactPlan::Make(names);
  ASSERT_OK(plan);
  const State& state = log_.state();
  const FactSources sources = Sources("ann");
  const FactCandidate first{OfferIndex{0}, &state.catalogue.RowOf(OfferIndex{0}), {}};
  const FactCandidate second{OfferIndex{1}, &state.catalogue.RowOf(OfferIndex{1}), {}};
  const FactCandidate unknown;
  const std::vector<FactCandidate> candidates = {unknown, second, first};
  FactColumns facts;
  plan->Fill(sources, candidates, scratch_, facts);
  for (size_t i = 0; i < names.size(); ++i) {
    const auto read = [&](int candidate) -> std::optional<double> {
      const Fact fact = facts.At(static_cast<int>(i), candidate);
      return fact.kind == Fact::Kind::kNumber ? std::optional<double>(fact.number) : std::nullopt;
    };
    EXPECT_EQ(read(2), Computed(names[i].name)) << names[i].name;
    EXPECT_EQ(read(1), Computed(names[i].name, "plain")) << names[i].name;
    EXPECT_EQ(read(0), Computed(names[i].name, "nobody's")) << names[i].name;
  }
}

}  // namespace
}  // namespace offerd
