#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "core/persistent_map.h"
#include "core/persistent_vector.h"
#include "core/records.h"
#include "core/types.h"

namespace offerd {

// An item by its dense number. An id that was only seen in an order has a number and nothing else.
struct CatalogueItem {
  std::shared_ptr<const Item> item;  // null: not in the catalogue
  ItemId id;
  NameIndex category = kNoName;  // the last of its path
  NameIndex brand = kNoName;
};

// An offer by its dense number. A deleted offer keeps its number and has no entry.
struct CatalogueOffer {
  std::shared_ptr<const Offer> offer;  // null: deleted
  OfferId id;
  NameIndex category = kNoName;    // as declared, or that of the first covered item that had one when the offer came
  NameIndex brand = kNoName;       // of the first covered item that had one then
  std::vector<ItemIndex> items;    // covered, ascending
  double mean_price = 0;           // of the covered items known then, major units
  double mean_margin = 0;          // price less cost
  Sequence coverage_sequence = 0;  // log record that last changed what it covers
  int32_t id_rank = 0;             // its place among all offers by id: breaks ties
};

// All offers at one moment.
struct OfferTable {
  std::vector<std::shared_ptr<const CatalogueOffer>> offers;              // by OfferIndex
  absl::flat_hash_map<absl::string_view, OfferIndex> index_of;            // keys live in `offers`
  std::vector<OfferIndex> by_id;        // live ones, ascending by id
  std::vector<OfferIndex> by_coverage;  // live ones, the latest change of what they cover first
};

// Redemptions so far: what stock and budget are compared with.
struct OfferUse {
  int64_t redemptions = 0;
  int64_t spent_micros = 0;
};

// Items, offers and the names in them. Part of the state: changed by the learner only, copied for free, read by requests.
//
// Threads  As PersistentMap.
// Cost     UpsertOffers rebuilds the offer table: O(all offers) a batch. The rest O(log n).
class Catalogue {
 public:
  Catalogue();

  // Dense numbers, given out in order of first mention. The empty name is kNoName.
  ItemIndex InternItem(absl::string_view id);
  NameIndex InternName(absl::string_view name);
  const ItemIndex* FindItem(absl::string_view id) const { return item_index_.Find(id); }
  const NameIndex* FindName(absl::string_view name) const { return name_index_.Find(name); }
  const std::string& NameOf(NameIndex index) const { return names_[static_cast<size_t>(index)]; }

  void UpsertItem(const Item& item);
  bool DeleteItem(const ItemId& id);  // false when not in the catalogue; its number stays
  // Returns the numbers of the offers whose covered items changed, in the order given.
  std::vector<OfferIndex> UpsertOffers(const std::vector<Offer>& offers, Sequence sequence);
  bool DeleteOffer(const OfferId& id);

  const CatalogueItem& ItemAt(ItemIndex index) const { return items_[static_cast<size_t>(index)]; }
  size_t num_item_numbers() const { return items_.size(); }
  int64_t num_items() const { return num_items_; }
  // False when every covered item is in the catalogue and none can be bought in the market.
  bool IsAvailable(const CatalogueOffer& offer, absl::string_view market) const;
  const OfferTable& offer_table() const { return *offer_table_; }
  const CatalogueOffer& OfferAt(OfferIndex index) const { return *offer_table_->offers[static_cast<size_t>(index)]; }
  OfferIndex FindOffer(absl::string_view id) const;  // kNoOffer when unknown or deleted
  // Offers, also deleted ones' numbers left out, that cover the item. Ascending.
  const std::vector<OfferIndex>& Covering(ItemIndex item) const;

  const OfferUse& UseOf(OfferIndex index) const;
  OfferUse& MutateUse(OfferIndex index) { return use_.Mutate(static_cast<size_t>(index)); }

  size_t num_names() const { return names_.size(); }

  // For loading a base: puts an entry at its number.
  void RestoreName(uint32_t index, absl::string_view name);
  void RestoreItem(uint32_t index, absl::string_view id, const Item* item);
  void RestoreOffers(std::vector<std::shared_ptr<CatalogueOffer>> offers);  // by number; fills the derived parts

 private:
  void IndexItem(ItemIndex index, const Item& item);
  std::shared_ptr<CatalogueOffer> MakeOffer(const Offer& offer, Sequence sequence);
  void Cover(const CatalogueOffer& offer, OfferIndex index, bool add);
  void Rebuild(std::vector<std::shared_ptr<const CatalogueOffer>> offers);

  PersistentMap<ItemIndex> item_index_;
  PersistentVector<CatalogueItem> items_;
  PersistentMap<NameIndex> name_index_;
  PersistentVector<std::string> names_;
  PersistentVector<std::vector<OfferIndex>> covering_;  // by ItemIndex
  PersistentVector<OfferUse> use_;                      // by OfferIndex
  std::shared_ptr<const OfferTable> offer_table_;
  int64_t num_items_ = 0;
  int64_t num_restricted_ = 0;  // items with an unavailable market: none is the usual case, and then nothing is looked up
};

}  // namespace offerd
