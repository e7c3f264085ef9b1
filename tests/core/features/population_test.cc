#include "core/features/population.h"

#include <cstring>
#include <map>

#include "absl/strings/str_cat.h"
#include "core/rng.h"
#include "tests/core/log_writer.h"
#include "tests/support/reference/visits_reference.h"

namespace offerd {
namespace {

bool SameBits(const DayCount& a, const DayCount& b) {
  return a.day == b.day && a.today == b.today && std::memcmp(&a.slow, &b.slow, sizeof(double)) == 0 &&
         std::memcmp(&a.fast, &b.fast, sizeof(double)) == 0;
}

TEST(DayOfTest, DaysBeginAtMidnightAlsoBefore1970) {
  EXPECT_EQ(DayOf(0), 0);
  EXPECT_EQ(DayOf(kMicrosPerDay - 1), 0);
  EXPECT_EQ(DayOf(kMicrosPerDay), 1);
  EXPECT_EQ(DayOf(-1), -1);
  EXPECT_EQ(DayOf(-kMicrosPerDay), -1);
  EXPECT_EQ(DayOf(-kMicrosPerDay - 1), -2);
}

TEST(DayCountTest, FadesByWholeDaysAndTakesOlderDaysToo) {
  DayCount count;
  count.Add(100, 3);
  EXPECT_EQ(count.Slow(100), 3);
  EXPECT_EQ(count.Slow(128), 1.5);
  EXPECT_EQ(count.Fast(107), 1.5);
  count.Add(107, 1);
  EXPECT_EQ(count.Fast(107), 2.5);
  count.Add(100, 2);  // came late
  EXPECT_EQ(count.Fast(107), 3.5);
  EXPECT_EQ(count.Fast(114), 1.75);
  count.Add(107, 0);
  EXPECT_EQ(count.Fast(107), 3.5);
}

TEST(PopulationTest, NothingSeenIsARateOfZero) {
  const Population population;
  EXPECT_EQ(population.OfferRates(OfferIndex{3}, kDayZero).slow, 0);
  EXPECT_EQ(population.NameRates(kNoName, kDayZero).fast, 0);
}

TEST(PopulationTest, TheLastMicrosecondOfADayIsStillThatDay) {
  Catalogue catalogue;
  catalogue.UpsertItem(MakeItem("i"));
  catalogue.UpsertItem(MakeItem("other"));
  catalogue.UpsertOffers({MakeOffer("o", {"i"})}, 1);
  Population population;
  population.AddVisit(kDayZero, true, {ItemIndex{0}}, {}, catalogue);
  population.AddVisit(kDayZero + kMicrosPerDay - 1, true, {ItemIndex{1}}, {}, catalogue);
  EXPECT_EQ(population.OfferRates(OfferIndex{0}, kDayZero).slow, 0.5);
  population.AddVisit(kDayZero + 7 * kMicrosPerDay, true, {ItemIndex{1}}, {}, catalogue);
  EXPECT_EQ(population.OfferRates(OfferIndex{0}, kDayZero + 7 * kMicrosPerDay).fast, 0.25);  // .5 of 2
}

constexpr int kNumItems = 10;

// A log of random purchases by a few customers, told to a fold and to the slow twin.
struct RandomShop {
  RandomShop(uint64_t seed, bool in_order) : rng(seed), is_in_order(in_order) {
    std::vector<Item> items;
    for (int i = 0; i < kNumItems; ++i) {
      items.push_back(MakeItem(absl::StrCat("i", i), absl::StrCat("category", i % 3), absl::StrCat("brand", i % 2)));
    }
    log.Write(time, ItemsUpserted{items});
  }

  void Buy() {
    time += static_cast<TimeMicros>(rng.NextUniform() * static_cast<double>(kMicrosPerDay));
    const std::string customer = absl::StrCat("c", rng.NextBits() % 5);
    TimeMicros at = time;
    if (!is_in_order && rng.NextUniform() < 0.2) at -= static_cast<TimeMicros>(rng.NextBits() % 20) * kMicrosPerDay;
    auto& [last, begun] = last_order[customer];
    if (last.empty() || rng.NextUniform() < 0.6 || (is_in_order && DayOf(begun) != DayOf(at))) {
      last = absl::StrCat("order", ++num_orders);  // else more lines of it, perhaps days later
      begun = at;
    }
    std::vector<std::string> items;
    for (uint64_t n = 1 + rng.NextBits() % 3; n-- > 0;) items.push_back(absl::StrCat("i", rng.NextBits() % kNumItems));
    log.Write(time, MakePurchase(customer, at, items, last));
    twin.Add(customer, last, at, items);
  }

  Rng rng;
  bool is_in_order;
  TimeMicros time = kDayZero;
  int num_orders = 0;
  std::map<std::string, std::pair<std::string, TimeMicros>> last_order;
  LogWriter log;
  VisitsReference twin;
};

TEST(PopulationTest, RatesEqualThoseOfASlowTwin) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    RandomShop shop(seed, seed % 2 == 0);
    shop.log.Write(shop.time, OffersUpserted{{MakeOffer("o", {"i1", "i2"})}});
    for (int i = 0; i < 150; ++i) shop.Buy();
    const State& state = shop.log.state();
    const TimeMicros now = shop.time + 3 * kMicrosPerDay;
    const auto expect = [&](Population::Rates found, const VisitsReference::Holds& holds) {
      EXPECT_NEAR(found.slow, shop.twin.Rate(holds, now, 28), 1e-9);
      EXPECT_NEAR(found.fast, shop.twin.Rate(holds, now, 7), 1e-9);
    };
    expect(state.population.OfferRates(OfferIndex{0}, now), [](const std::string& i) { return i == "i1" || i == "i2"; });
    for (int c = 0; c < 3; ++c) {
      expect(state.population.NameRates(*state.catalogue.FindCategory(absl::StrCat("category", c)), now),
             [c](const std::string& i) { return (i.back() - '0') % 3 == c; });
    }
    for (int b = 0; b < 2; ++b) {
      expect(state.population.NameRates(*state.catalogue.FindBrand(absl::StrCat("brand", b)), now),
             [b](const std::string& i) { return (i.back() - '0') % 2 == b; });
    }
  }
}

// To the bit where days come in order; where late lines join a visit of an earlier day, but for rounding.
TEST(PopulationTest, AnOfferThatCameLaterCountsAsIfItHadBeenThereAllAlong) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    const bool in_order = seed % 2 == 1;
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    RandomShop shop(seed, in_order);
    shop.log.Write(shop.time, OffersUpserted{{MakeOffer("early", {"i1", "i2"}), MakeOffer("moved", {"i3"})}});
    for (int i = 0; i < 100; ++i) shop.Buy();
    shop.log.Write(shop.time, OffersUpserted{{MakeOffer("late", {"i2", "i1"}), MakeOffer("moved", {"i1", "i2"})}});
    const Population& population = shop.log.state().population;
    for (int i = 0; i < 20; ++i) {
      const DayCount& early = *population.offers().Find(0);
      for (const size_t other : {1, 2}) {
        const DayCount& late = *population.offers().Find(other);
        if (in_order) {
          EXPECT_TRUE(SameBits(early, late)) << i;
        } else {
          EXPECT_NEAR(early.Slow(early.day), late.Slow(early.day), 1e-9);
          EXPECT_NEAR(early.Fast(early.day), late.Fast(early.day), 1e-9);
        }
      }
      shop.Buy();
    }
  }
}

TEST(PopulationTest, AVisitSplitOverMidnightBelongsToTheDayItBegan) {
  LogWriter log;
  log.Write(kDayZero, OffersUpserted{{MakeOffer("early", {"i"})}});
  log.Write(kDayZero, MakePurchase("c", kDayZero + kMicrosPerDay - 1, {"other"}, "order"));
  log.Write(kDayZero, MakePurchase("c", kDayZero + kMicrosPerDay, {"i"}, "order"));
  log.Write(kDayZero, OffersUpserted{{MakeOffer("late", {"i"})}});
  const Population& population = log.state().population;
  EXPECT_TRUE(SameBits(*population.offers().Find(0), *population.offers().Find(1)));
  EXPECT_EQ(population.OfferRates(OfferIndex{0}, kDayZero + 5 * kMicrosPerDay).fast, 1);
}

TEST(PopulationTest, AnOfferThatCoversNothingBoughtCountsNothing) {
  RandomShop shop(3, true);
  for (int i = 0; i < 20; ++i) shop.Buy();
  shop.log.Write(shop.time, OffersUpserted{{MakeOffer("empty"), MakeOffer("unknown", {"never bought"})}});
  EXPECT_EQ(shop.log.state().population.OfferRates(OfferIndex{0}, shop.time).slow, 0);
  EXPECT_EQ(shop.log.state().population.OfferRates(OfferIndex{1}, shop.time).slow, 0);
}

}  // namespace
}  // namespace offerd
