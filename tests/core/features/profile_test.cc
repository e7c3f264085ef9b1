#include "core/features/profile.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "core/hash.h"
#include "core/rng.h"
#include "tests/core/log_writer.h"
#include "tests/support/reference/visits_reference.h"

namespace offerd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kPlenty = 1'000'000;
constexpr int kNumItems = 12;

std::string ItemName(uint64_t number) { return absl::StrCat("i", number); }
std::string CategoryOf(const std::string& item) { return "category" + item.substr(item.size() - 1); }  // i1 and i11 share one
std::string BrandOf(const std::string& item) { return item.size() == 2 ? "short" : "long"; }

Catalogue MakeCatalogue() {
  Catalogue catalogue;
  for (int i = 0; i < kNumItems; ++i) {
    const std::string id = ItemName(i);
    catalogue.UpsertItem(MakeItem(id, CategoryOf(id), BrandOf(id)));
  }
  return catalogue;
}

struct RandomVisit {
  std::string order;
  TimeMicros time;
  std::vector<std::string> items;
};

// Out of order in time now and then, orders split over several calls, items repeated.
std::vector<RandomVisit> RandomVisits(Rng& rng, int count) {
  std::vector<RandomVisit> visits;
  TimeMicros time = kDayZero;
  for (int i = 0; i < count; ++i) {
    time += static_cast<TimeMicros>(rng.NextUniform() * 10 * kMicrosPerDay);
    RandomVisit visit;
    visit.time = rng.NextUniform() < 0.2 ? time - static_cast<TimeMicros>(rng.NextUniform() * 40 * kMicrosPerDay) : time;
    if (rng.NextUniform() < 0.7) visit.order = absl::StrCat("order", rng.NextUniform() < 0.4 ? i - 1 : i);
    for (uint64_t n = 1 + rng.NextBits() % 4; n-- > 0;) visit.items.push_back(ItemName(rng.NextBits() % kNumItems));
    visits.push_back(visit);
  }
  return visits;
}

bool AddTo(Profile& profile, const RandomVisit& visit, const Catalogue& catalogue, Sequence sequence, int64_t max_bytes = kPlenty,
           std::vector<ItemIndex>* touched = nullptr) {
  std::vector<ItemIndex> items, scratch;
  for (const std::string& item : visit.items) items.push_back(*catalogue.FindItem(item));
  const uint64_t order = visit.order.empty() ? 0 : StableHash(visit.order) | 1;
  return profile.AddVisit(visit.time, order, items, catalogue, sequence, max_bytes, touched == nullptr ? scratch : *touched);
}

void ExpectSum(const Affinity* found, const VisitsReference::Sum& expected) {
  if (expected.visits == 0) {
    EXPECT_EQ(found, nullptr);
    return;
  }
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->visits, expected.visits);
  EXPECT_EQ(found->last_visit, expected.last_visit);
  EXPECT_EQ(found->first, expected.first);
  EXPECT_EQ(found->last, expected.last);
  EXPECT_NEAR(found->decayed, static_cast<double>(expected.decayed), 1e-9);
}

bool SameBits(const Affinity& a, const Affinity& b) {
  return a.key == b.key && a.visits == b.visits && a.last_visit == b.last_visit && a.first == b.first && a.last == b.last &&
         std::memcmp(&a.decayed, &b.decayed, sizeof(double)) == 0;
}

TEST(ProfileTest, DecayHalvesWithTheHalfLifeAndNeverGrows) {
  EXPECT_EQ(Decay(0, 56 * kMicrosPerDay, 56), 0.5);
  EXPECT_EQ(Decay(5, 5, 56), 1);
  EXPECT_EQ(Decay(6, 5, 56), 1);
}

TEST(ProfileTest, AnEmptyProfileKnowsNothing) {
  const Profile profile;
  Affinity scratch;
  Catalogue catalogue = MakeCatalogue();
  catalogue.UpsertOffers({MakeOffer("o", {"i1"})}, 1);
  EXPECT_EQ(profile.num_visits(), 0u);
  EXPECT_EQ(profile.Find(Affinity::Kind::kBrand, 0), nullptr);
  EXPECT_EQ(profile.OfferAffinity(OfferIndex{0}, catalogue, scratch), nullptr);
}

TEST(ProfileTest, LinesOfTheLastOrderJoinItAndTouchedNamesOnlyTheNewItems) {
  const Catalogue catalogue = MakeCatalogue();
  Profile profile;
  std::vector<ItemIndex> touched;
  EXPECT_TRUE(AddTo(profile, {"a", kDayZero, {"i3", "i1", "i3"}}, catalogue, 1, kPlenty, &touched));
  EXPECT_THAT(touched, ElementsAre(ItemIndex{1}, ItemIndex{3}));
  EXPECT_FALSE(AddTo(profile, {"a", kDayZero + kMicrosPerDay, {"i2", "i1"}}, catalogue, 2, kPlenty, &touched));
  EXPECT_THAT(touched, ElementsAre(ItemIndex{2}));
  EXPECT_EQ(profile.num_visits(), 1u);
  EXPECT_EQ(profile.last_visit(), kDayZero);  // the visit is where it began
  EXPECT_THAT(profile.items(), ElementsAre(ItemIndex{1}, ItemIndex{2}, ItemIndex{3}));
  EXPECT_TRUE(AddTo(profile, {"", kDayZero, {"i1"}}, catalogue, 3, kPlenty, &touched));
  EXPECT_TRUE(AddTo(profile, {"", kDayZero, {"i1"}}, catalogue, 4, kPlenty, &touched));  // without an order nothing joins
  EXPECT_EQ(profile.num_visits(), 3u);
}

TEST(ProfileTest, CountsEqualThoseOfASlowTwin) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Rng rng(seed);
    Catalogue catalogue = MakeCatalogue();
    catalogue.UpsertOffers({MakeOffer("all along", {"i1", "i2"}), MakeOffer("wide", {"i3", "i4", "i5", "i6"})}, 1);
    Profile profile;
    VisitsReference twin;
    Sequence sequence = 1;
    for (const RandomVisit& visit : RandomVisits(rng, 60)) {
      AddTo(profile, visit, catalogue, ++sequence);
      twin.Add("c", visit.order, visit.time, visit.items);
    }
    const VisitsReference::Sum all = twin.Of("c", nullptr);
    EXPECT_EQ(profile.num_visits(), all.visits);
    EXPECT_EQ(profile.first_visit(), all.first);
    EXPECT_EQ(profile.last_visit(), all.last);
    EXPECT_EQ(profile.num_lines(), all.lines);
    EXPECT_NEAR(profile.DecayedVisits(all.last), static_cast<double>(all.decayed), 1e-9);
    EXPECT_NEAR(profile.DecayedVisits(all.last + 56 * kMicrosPerDay), static_cast<double>(all.decayed / 2), 1e-9);
    for (uint32_t n = 0; n < catalogue.num_names(); ++n) {
      const absl::string_view name = catalogue.NameOf(NameIndex{n});
      const bool is_brand = catalogue.FindCategory(name) == nullptr || *catalogue.FindCategory(name) != NameIndex{n};
      const auto kind = is_brand ? Affinity::Kind::kBrand : Affinity::Kind::kCategory;
      ExpectSum(profile.Find(kind, n), twin.Of("c", [&](const std::string& i) { return (is_brand ? BrandOf(i) : CategoryOf(i)) == name; }));
    }
    ExpectSum(profile.Find(Affinity::Kind::kOffer, 0), twin.Of("c", [](const std::string& i) { return i == "i1" || i == "i2"; }));
    ExpectSum(profile.Find(Affinity::Kind::kOffer, 1),
              twin.Of("c", [](const std::string& i) { return i >= "i3" && i <= "i6"; }));
  }
}

// A shop that puts in all its offers at once must not make every customer's next visit look at all of them.
TEST(ProfileTest, OfManyOffersThatChangedAtOnceThoseAreFoundThatTheCustomerHad) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Rng rng(seed);
    const Offer offer = MakeOffer("o", {"i1", "i4", "i7"}), moved = MakeOffer("moved", {"never"});
    std::vector<Offer> others;
    for (int i = 0; i < 300; ++i) others.push_back(MakeOffer(absl::StrCat("other ", i), {absl::StrCat("never ", i)}));
    Catalogue early = MakeCatalogue(), late = MakeCatalogue();
    early.UpsertOffers({moved, offer}, 1);
    early.UpsertOffers(others, 1);
    late.UpsertOffers({MakeOffer("moved", {"i2"})}, 1);  // covers something else first
    const std::vector<RandomVisit> visits = RandomVisits(rng, 40);
    const size_t created = rng.NextBits() % visits.size();
    Profile one, other;
    Sequence sequence = 1;
    for (size_t i = 0; i < visits.size(); ++i) {
      if (i == created) {
        late.UpsertOffers({moved, offer}, ++sequence);
        late.UpsertOffers(others, sequence);
      }
      ++sequence;
      AddTo(one, visits[i], early, sequence);
      AddTo(other, visits[i], late, sequence);
      if (i < created) continue;
      ASSERT_EQ(one.affinities().size(), other.affinities().size()) << i;
      for (size_t k = 0; k < one.affinities().size(); ++k) EXPECT_TRUE(SameBits(one.affinities()[k], other.affinities()[k])) << i;
    }
  }
}

// What the customer's affinity to an offer is, whenever the offer came.
TEST(ProfileTest, AnOfferCreatedAfterTheVisitsHasTheBitsOfOneThatExistedAllAlong) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Rng rng(seed);
    Catalogue early = MakeCatalogue(), late = MakeCatalogue();
    const Offer offer = MakeOffer("o", {"i1", "i4", "i7"});
    const std::vector<RandomVisit> visits = RandomVisits(rng, 40);
    const size_t created = rng.NextBits() % visits.size();
    early.UpsertOffers({offer}, 1);
    Profile one, other;
    Sequence sequence = 1;
    for (size_t i = 0; i < visits.size(); ++i) {
      if (i == created) {
        late.UpsertOffers({MakeOffer("o", {"i2"})}, ++sequence);  // covers something else first
        late.UpsertOffers({offer}, ++sequence);
      }
      ++sequence;
      AddTo(one, visits[i], early, sequence);
      AddTo(other, visits[i], late, sequence);
      Affinity first_scratch, second_scratch;
      const Affinity* first = one.OfferAffinity(OfferIndex{0}, early, first_scratch);
      if (i < created) continue;
      const Affinity* second = other.OfferAffinity(OfferIndex{0}, late, second_scratch);
      ASSERT_EQ(first == nullptr, second == nullptr);
      if (first != nullptr) {
        EXPECT_TRUE(SameBits(*first, *second)) << i;
      }
    }
    // Asked for right after the change, without a visit since.
    late.UpsertOffers({MakeOffer("p", offer.item_ids)}, ++sequence);
    Affinity scratch;
    const Affinity* stored = one.Find(Affinity::Kind::kOffer, 0);
    const Affinity* summed = other.OfferAffinity(late.FindOffer("p"), late, scratch);
    ASSERT_EQ(stored == nullptr, summed == nullptr);
    if (stored != nullptr) {
      scratch.key = stored->key;
      EXPECT_TRUE(SameBits(*stored, scratch));
    }
  }
}

TEST(ProfileTest, AnOfferThatCoversNothingOfTheHistoryAnyMoreIsForgotten) {
  Catalogue catalogue = MakeCatalogue();
  catalogue.UpsertOffers({MakeOffer("o", {"i1"})}, 1);
  Profile profile;
  AddTo(profile, {"a", kDayZero, {"i1"}}, catalogue, 2);
  ASSERT_NE(profile.Find(Affinity::Kind::kOffer, 0), nullptr);
  catalogue.UpsertOffers({MakeOffer("o", {"i2"})}, 3);
  Affinity scratch;
  EXPECT_EQ(profile.OfferAffinity(OfferIndex{0}, catalogue, scratch), nullptr);
  AddTo(profile, {"b", kDayZero, {"i5"}}, catalogue, 4);
  EXPECT_EQ(profile.Find(Affinity::Kind::kOffer, 0), nullptr);
}

TEST(ProfileTest, TrimmingTheHistoryKeepsTotalsAndTheNewestVisits) {
  constexpr int64_t kFew = 200;
  Rng rng(5);
  Catalogue catalogue = MakeCatalogue();
  catalogue.UpsertOffers({MakeOffer("o", {"i1", "i2"})}, 1);
  Profile whole, trimmed;
  Sequence sequence = 1;
  for (const RandomVisit& visit : RandomVisits(rng, 100)) {
    ++sequence;
    EXPECT_EQ(AddTo(whole, visit, catalogue, sequence), AddTo(trimmed, visit, catalogue, sequence, kFew));
    EXPECT_LE(trimmed.history_bytes(), kFew);
    ASSERT_FALSE(trimmed.visits().empty());
    EXPECT_EQ(trimmed.visits().back().time, whole.visits().back().time);
  }
  EXPECT_LT(trimmed.visits().size(), whole.visits().size());
  EXPECT_EQ(trimmed.num_visits(), whole.num_visits());
  EXPECT_EQ(trimmed.num_lines(), whole.num_lines());
  EXPECT_EQ(trimmed.first_visit(), whole.first_visit());
  EXPECT_EQ(trimmed.DecayedVisits(kDayZero), whole.DecayedVisits(kDayZero));
  ASSERT_EQ(trimmed.affinities().size(), whole.affinities().size());
  for (size_t i = 0; i < whole.affinities().size(); ++i) EXPECT_TRUE(SameBits(trimmed.affinities()[i], whole.affinities()[i]));
  // The number of a visit counts the forgotten ones too.
  catalogue.UpsertOffers({MakeOffer("any", {"i0", "i1", "i2", "i3", "i4", "i5", "i6", "i7", "i8", "i9", "i10", "i11"})}, ++sequence);
  Affinity scratch;
  const OfferIndex any = catalogue.FindOffer("any");
  ASSERT_NE(trimmed.OfferAffinity(any, catalogue, scratch), nullptr);
  EXPECT_EQ(scratch.last_visit, whole.num_visits());
  EXPECT_EQ(scratch.visits, trimmed.visits().size());
}

TEST(ProfileTest, TheLastVisitStaysHoweverLarge) {
  const Catalogue catalogue = MakeCatalogue();
  Profile profile;
  AddTo(profile, {"a", kDayZero, {"i1", "i2"}}, catalogue, 1, 1);
  EXPECT_EQ(profile.visits().size(), 1u);
  EXPECT_EQ(profile.items().size(), 2u);
}

TEST(ProfileTest, PartsGiveTheSameProfile) {
  Rng rng(9);
  const Catalogue catalogue = MakeCatalogue();
  Profile profile, restored;
  Sequence sequence = 0;
  for (const RandomVisit& visit : RandomVisits(rng, 20)) AddTo(profile, visit, catalogue, ++sequence);
  restored.SetParts(profile.ToParts());
  for (const RandomVisit& visit : RandomVisits(rng, 20)) {
    ++sequence;
    AddTo(profile, visit, catalogue, sequence);
    AddTo(restored, visit, catalogue, sequence);
  }
  EXPECT_EQ(restored.folded_sequence(), profile.folded_sequence());
  EXPECT_EQ(restored.num_lines(), profile.num_lines());
  ASSERT_EQ(restored.affinities().size(), profile.affinities().size());
  for (size_t i = 0; i < profile.affinities().size(); ++i) EXPECT_TRUE(SameBits(restored.affinities()[i], profile.affinities()[i]));
}

}  // namespace
}  // namespace offerd
