#include "core/candidates/catalogue.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "core/hash.h"
#include "core/rng.h"
#include "tests/core/log_writer.h"

namespace offerd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> IdsCovering(const Catalogue& catalogue, const std::string& item) {
  std::vector<std::string> ids;
  const ItemIndex* index = catalogue.FindItem(item);
  if (index == nullptr) return ids;
  for (const OfferIndex offer : catalogue.Covering(*index)) ids.push_back(catalogue.OfferAt(offer).id.value());
  std::sort(ids.begin(), ids.end());
  return ids;
}

TEST(CatalogueTest, NumbersFollowTheFirstMentionAndStay) {
  Catalogue catalogue;
  EXPECT_EQ(catalogue.InternItem("seen in an order"), ItemIndex{0});
  catalogue.UpsertItem(MakeItem("tea"));
  catalogue.UpsertItem(MakeItem("seen in an order"));
  EXPECT_EQ(*catalogue.FindItem("tea"), ItemIndex{1});
  EXPECT_EQ(*catalogue.FindItem("seen in an order"), ItemIndex{0});
  EXPECT_EQ(catalogue.num_item_numbers(), 2u);
  EXPECT_EQ(catalogue.InternCategory(""), kNoName);
  EXPECT_EQ(catalogue.InternBrand(""), kNoName);
  const NameIndex name = catalogue.InternCategory("drinks");
  EXPECT_EQ(catalogue.InternCategory("drinks"), name);
  EXPECT_EQ(catalogue.NameOf(name), "drinks");
}

TEST(CatalogueTest, ABrandAndACategoryOfOneNameAreTwo) {
  Catalogue catalogue;
  const NameIndex category = catalogue.InternCategory("tea");
  const NameIndex brand = catalogue.InternBrand("tea");
  EXPECT_NE(brand, category);
  EXPECT_EQ(*catalogue.FindCategory("tea"), category);
  EXPECT_EQ(*catalogue.FindBrand("tea"), brand);
  EXPECT_EQ(catalogue.NameOf(brand), "tea");
}

TEST(CatalogueTest, ADeletedItemKeepsItsNumberOnly) {
  Catalogue catalogue;
  catalogue.UpsertItem(MakeItem("tea", "drinks", "acme"));
  EXPECT_EQ(catalogue.num_items(), 1);
  EXPECT_TRUE(catalogue.DeleteItem(ItemId("tea")));
  EXPECT_FALSE(catalogue.DeleteItem(ItemId("tea")));
  EXPECT_FALSE(catalogue.DeleteItem(ItemId("never heard of")));
  EXPECT_EQ(catalogue.num_items(), 0);
  const CatalogueItem& item = catalogue.ItemAt(*catalogue.FindItem("tea"));
  EXPECT_EQ(item.item, nullptr);
  EXPECT_EQ(item.category, kNoName);
  EXPECT_EQ(item.brand, kNoName);
  EXPECT_EQ(item.id, ItemId("tea"));
}

TEST(CatalogueTest, CoverageFollowsUpsertsDeletionsAndReturns) {
  Catalogue catalogue;
  catalogue.UpsertOffers({MakeOffer("a", {"x", "y"}), MakeOffer("b", {"y"})}, 5);
  EXPECT_THAT(IdsCovering(catalogue, "x"), ElementsAre("a"));
  EXPECT_THAT(IdsCovering(catalogue, "y"), ElementsAre("a", "b"));
  catalogue.UpsertOffers({MakeOffer("a", {"y", "z"})}, 6);
  EXPECT_THAT(IdsCovering(catalogue, "x"), IsEmpty());
  EXPECT_THAT(IdsCovering(catalogue, "z"), ElementsAre("a"));
  const OfferIndex number = catalogue.FindOffer("a");
  EXPECT_TRUE(catalogue.DeleteOffer(OfferId("a")));
  EXPECT_FALSE(catalogue.DeleteOffer(OfferId("a")));
  EXPECT_EQ(catalogue.FindOffer("a"), kNoOffer);
  EXPECT_THAT(IdsCovering(catalogue, "y"), ElementsAre("b"));
  EXPECT_THAT(catalogue.UpsertOffers({MakeOffer("a", {"y"})}, 8), ElementsAre(number));
  EXPECT_EQ(catalogue.FindOffer("a"), number);
  EXPECT_THAT(IdsCovering(catalogue, "y"), ElementsAre("a", "b"));
}

TEST(CatalogueTest, CoverageSequenceMovesOnlyWhenTheCoveredSetChanges) {
  Catalogue catalogue;
  const auto sequence = [&catalogue](const char* id) { return catalogue.OfferAt(catalogue.FindOffer(id)).coverage_sequence; };
  EXPECT_THAT(catalogue.UpsertOffers({MakeOffer("a", {"x", "y"}), MakeOffer("b")}, 5), ElementsAre(OfferIndex{0}, OfferIndex{1}));
  Offer other_text = MakeOffer("a", {"y", "x", "y"});  // the same set
  other_text.label = "new label";
  EXPECT_THAT(catalogue.UpsertOffers({other_text, MakeOffer("b")}, 6), IsEmpty());
  EXPECT_EQ(sequence("a"), 5u);
  EXPECT_EQ(sequence("b"), 5u);
  EXPECT_EQ(catalogue.OfferAt(catalogue.FindOffer("a")).offer->label, "new label");
  EXPECT_THAT(catalogue.UpsertOffers({MakeOffer("b", {"x"}), MakeOffer("a", {"x"})}, 7), ElementsAre(OfferIndex{1}, OfferIndex{0}));
  EXPECT_EQ(sequence("a"), 7u);
  catalogue.DeleteOffer(OfferId("a"));
  catalogue.UpsertOffers({MakeOffer("a", {"x"})}, 9);  // back with the same set, but it missed the visits between
  EXPECT_EQ(sequence("a"), 9u);
}

TEST(CatalogueTest, TheLastOfSeveralInOneBatchCounts) {
  Catalogue catalogue;
  EXPECT_THAT(catalogue.UpsertOffers({MakeOffer("a", {"x"}), MakeOffer("a", {"y"})}, 5), ElementsAre(OfferIndex{0}));
  EXPECT_THAT(IdsCovering(catalogue, "x"), IsEmpty());
  EXPECT_THAT(IdsCovering(catalogue, "y"), ElementsAre("a"));
  EXPECT_EQ(catalogue.offer_table().offers.size(), 1u);
}

TEST(CatalogueTest, AnOfferTakesNamesAndMoneyFromTheItemsKnownWhenItCame) {
  Catalogue catalogue;
  Item tea = MakeItem("tea", "drinks", "acme");
  tea.price_micros = 4'000'000;
  tea.cost_micros = 1'000'000;
  Item cup = MakeItem("cup", "kitchen");
  cup.price_micros = 8'000'000;
  cup.cost_micros = 2'000'000;
  catalogue.UpsertItem(tea);
  catalogue.UpsertItem(cup);
  catalogue.UpsertOffers({MakeOffer("o", {"tea", "cup", "unknown"})}, 3);
  tea.price_micros = 40'000'000;
  catalogue.UpsertItem(tea);
  const CatalogueOffer& offer = catalogue.OfferAt(catalogue.FindOffer("o"));
  EXPECT_EQ(offer.mean_price, 6);
  EXPECT_EQ(offer.mean_margin, 4.5);
  EXPECT_EQ(catalogue.NameOf(offer.category), "drinks");
  EXPECT_EQ(catalogue.NameOf(offer.brand), "acme");
  Offer declared = MakeOffer("p", {"tea"});
  declared.category = "gifts";
  catalogue.UpsertOffers({declared}, 4);
  EXPECT_EQ(catalogue.NameOf(catalogue.OfferAt(catalogue.FindOffer("p")).category), "gifts");
}

TEST(CatalogueTest, IsUnavailableOnlyWhenEveryItemIsKnownAndClosedInTheMarket) {
  Catalogue catalogue;
  Item closed = MakeItem("closed");
  closed.unavailable_markets = {"fr", "de"};
  catalogue.UpsertOffers({MakeOffer("only", {"closed"}), MakeOffer("half", {"closed", "open"}),
                          MakeOffer("half unknown", {"closed", "unknown"}), MakeOffer("nothing")}, 1);
  const auto available = [&catalogue](const char* id, const char* market) {
    return catalogue.IsAvailable(catalogue.OfferAt(catalogue.FindOffer(id)), market);
  };
  EXPECT_TRUE(available("only", "fr"));  // the item is not known yet
  catalogue.UpsertItem(closed);
  catalogue.UpsertItem(closed);  // again: counted once
  catalogue.UpsertItem(MakeItem("open"));
  EXPECT_FALSE(available("only", "fr"));
  EXPECT_FALSE(available("only", "de"));
  EXPECT_TRUE(available("only", "it"));
  EXPECT_TRUE(available("half", "fr"));
  EXPECT_TRUE(available("half unknown", "fr"));
  EXPECT_TRUE(available("nothing", "fr"));
  catalogue.DeleteItem(ItemId("closed"));
  EXPECT_TRUE(available("only", "fr"));
  catalogue.UpsertItem(closed);
  EXPECT_FALSE(available("only", "fr"));
  catalogue.UpsertItem(MakeItem("closed"));
  EXPECT_TRUE(available("only", "fr"));
}

TEST(CatalogueTest, CoveringAnswersForItemsFarFromTheCoveredOne) {
  Catalogue catalogue;
  for (int i = 0; i < 2'000; ++i) catalogue.UpsertItem(MakeItem(absl::StrCat("i", i)));
  catalogue.UpsertOffers({MakeOffer("o", {"i1999"})}, 1);
  for (int i = 0; i < 1'999; ++i) EXPECT_THAT(IdsCovering(catalogue, absl::StrCat("i", i)), IsEmpty());
  EXPECT_THAT(IdsCovering(catalogue, "i1999"), ElementsAre("o"));
}

TEST(CatalogueTest, AnOfferIsFoundByTheHashOfItsId) {
  EXPECT_EQ(Fnv1aHash(""), 0xcbf29ce484222325u);  // of the tables in RFC 9923
  EXPECT_EQ(Fnv1aHash("a"), 0xaf63dc4c8601ec8cu);
  EXPECT_EQ(Fnv1aHash("foobar"), 0x85944171f73967e8u);
  Catalogue catalogue;
  catalogue.UpsertOffers({MakeOffer("a", {"i"}), MakeOffer("foobar", {"i"})}, 1);
  EXPECT_EQ(catalogue.FindOfferByKey(0x85944171f73967e8u), catalogue.FindOffer("foobar"));
  EXPECT_EQ(catalogue.OfferKeyOf(catalogue.FindOffer("a")), 0xaf63dc4c8601ec8cu);
  EXPECT_EQ(catalogue.FindOfferByKey(1), kNoOffer);
  catalogue.DeleteOffer(OfferId("a"));
  EXPECT_EQ(catalogue.FindOfferByKey(0xaf63dc4c8601ec8cu), kNoOffer);
  EXPECT_FALSE(catalogue.RowOf(OfferIndex{0}).is_live);
}

// The first of two offers whose ids have one hash keeps the key for ever: it never names the other.
TEST(CatalogueTest, OfTwoOffersWithTheSameHashTheFirstHasTheKey) {
  const std::string first = "8yn0iYCKYHlIj4-BwPqk", second = "GReLUrM4wMqfg9yzV3KQ";
  ASSERT_EQ(Fnv1aHash(first), Fnv1aHash(second));
  Catalogue catalogue;
  catalogue.UpsertOffers({MakeOffer(first, {"i"})}, 1);
  catalogue.UpsertOffers({MakeOffer(second, {"i"})}, 2);
  EXPECT_EQ(catalogue.OfferKeyOf(catalogue.FindOffer(first)), Fnv1aHash(first));
  EXPECT_EQ(catalogue.OfferKeyOf(catalogue.FindOffer(second)), 0u);
  catalogue.DeleteOffer(OfferId(first));
  EXPECT_EQ(catalogue.FindOfferByKey(Fnv1aHash(second)), kNoOffer);
  EXPECT_EQ(catalogue.OfferKeyOf(catalogue.FindOffer(second)), 0u);
}

void ExpectSameOffers(const Catalogue& a, const Catalogue& b) {
  ASSERT_EQ(a.offer_table().offers.size(), b.offer_table().offers.size());
  EXPECT_EQ(a.offer_table().by_id, b.offer_table().by_id);
  EXPECT_EQ(a.offer_table().by_coverage, b.offer_table().by_coverage);
  for (size_t i = 0; i < a.offer_table().offers.size(); ++i) {
    const CatalogueOffer& x = *a.offer_table().offers[i];
    const CatalogueOffer& y = *b.offer_table().offers[i];
    EXPECT_EQ(x.id, y.id);
    const OfferIndex index{static_cast<uint32_t>(i)};
    EXPECT_EQ(a.RowOf(index).id_rank, b.RowOf(index).id_rank);
    EXPECT_EQ(a.OfferKeyOf(index), b.OfferKeyOf(index));
    EXPECT_EQ(x.items, y.items);
    EXPECT_EQ(x.category, y.category);
    EXPECT_EQ(x.brand, y.brand);
    EXPECT_EQ(x.mean_price, y.mean_price);
    EXPECT_EQ(x.coverage_sequence, y.coverage_sequence);
    EXPECT_EQ(x.offer == nullptr, y.offer == nullptr);
  }
}

// Random life of a catalogue against sets that are worked out anew after each step; copies stay, and a restored one is equal.
TEST(CatalogueTest, AgreesWithASlowTwinAndARestoredOneIsEqual) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Rng rng(seed);
    Catalogue catalogue;
    std::map<std::string, std::set<std::string>> live;
    Catalogue copy;
    std::map<std::string, std::set<std::string>> copied;
    const auto item_id = [&rng] { return absl::StrCat("item", rng.NextBits() % 150); };
    for (Sequence step = 1; step <= 150; ++step) {
      const uint64_t choice = rng.NextBits() % 10;
      if (choice < 2) {
        Item item = MakeItem(item_id(), absl::StrCat("category", rng.NextBits() % 5), "brand");
        item.price_micros = static_cast<int64_t>(rng.NextBits() % 10'000'000);
        catalogue.UpsertItem(item);
      } else if (choice < 3) {
        catalogue.DeleteItem(ItemId(item_id()));
      } else if (choice < 8) {
        std::vector<Offer> batch;
        for (uint64_t n = rng.NextBits() % 4; n-- > 0;) {
          Offer offer = MakeOffer(absl::StrCat("offer", rng.NextBits() % 30));
          for (uint64_t k = rng.NextBits() % 4; k-- > 0;) offer.item_ids.push_back(item_id());
          live[offer.id.value()] = {offer.item_ids.begin(), offer.item_ids.end()};
          batch.push_back(offer);
        }
        catalogue.UpsertOffers(batch, step);
      } else {
        const std::string id = absl::StrCat("offer", rng.NextBits() % 30);
        EXPECT_EQ(catalogue.DeleteOffer(OfferId(id)), live.erase(id) == 1);
      }
      if (step == 75) {
        copy = catalogue;
        copied = live;
      }
      std::vector<std::string> by_id;
      int32_t rank = -1;
      for (const OfferIndex index : catalogue.offer_table().by_id) {
        by_id.push_back(catalogue.OfferAt(index).id.value());
        EXPECT_GT(catalogue.RowOf(index).id_rank, rank);
        rank = catalogue.RowOf(index).id_rank;
      }
      std::vector<std::string> expected;
      for (const auto& [id, items] : live) expected.push_back(id);
      EXPECT_EQ(by_id, expected);
    }
    const auto expect_coverage = [](const Catalogue& of, const std::map<std::string, std::set<std::string>>& offers) {
      for (int i = 0; i < 150; ++i) {
        const std::string item = absl::StrCat("item", i);
        std::vector<std::string> expected;
        for (const auto& [id, items] : offers) {
          if (items.count(item) > 0) expected.push_back(id);
        }
        EXPECT_EQ(IdsCovering(of, item), expected) << item;
      }
    };
    expect_coverage(catalogue, live);
    expect_coverage(copy, copied);

    Catalogue restored;
    for (uint32_t i = 0; i < catalogue.num_names(); ++i) restored.RestoreName(i, catalogue.KeptName(NameIndex{i}));
    for (uint32_t i = 0; i < catalogue.num_item_numbers(); ++i) {
      const CatalogueItem& item = catalogue.ItemAt(ItemIndex{i});
      restored.RestoreItem(i, item.id.value(), item.arrived, item.item.get());
    }
    std::vector<std::shared_ptr<CatalogueOffer>> stored;
    for (const auto& offer : catalogue.offer_table().offers) {
      stored.push_back(std::make_shared<CatalogueOffer>(*offer));
      stored.back()->items.clear();  // not stored
    }
    restored.RestoreOffers(std::move(stored));
    ExpectSameOffers(restored, catalogue);
    expect_coverage(restored, live);
    EXPECT_EQ(restored.num_items(), catalogue.num_items());
    EXPECT_EQ(restored.arrivals(), catalogue.arrivals());
    for (uint32_t name = 0; name < catalogue.num_names(); ++name) {
      std::vector<ItemIndex> expected;
      for (uint32_t i = 0; i < catalogue.num_item_numbers(); ++i) {
        const CatalogueItem& item = catalogue.ItemAt(ItemIndex{i});
        if (item.category == NameIndex{name} || item.brand == NameIndex{name}) expected.push_back(ItemIndex{i});
      }
      EXPECT_EQ(catalogue.Members(NameIndex{name}), expected);
      EXPECT_EQ(restored.Members(NameIndex{name}), expected);
    }
  }
}

}  // namespace
}  // namespace offerd
