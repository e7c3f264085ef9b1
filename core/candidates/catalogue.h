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
  TimeMicros arrived = 0;  // when it came into the catalogue; stays when it leaves; 0 = never was in it
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
};

// What every request reads of an offer, worked out from its entry and packed into one cache line.
struct alignas(64) OfferRow {
  TimeMicros starts_at = 0;
  TimeMicros ends_at = 0;
  double mean_price = 0;
  double mean_margin = 0;
  Sequence coverage_sequence = 0;
  int32_t id_rank = 0;  // place among all offers by id, from 0: breaks ties
  NameIndex category = kNoName;
  NameIndex brand = kNoName;
  uint32_t num_items = 0;
  uint32_t id_begin = 0;  // in OfferTable::texts
  uint16_t id_size = 0;
  bool is_live = false;   // false: deleted
  bool is_plain = false;  // only dates, what is on sale and what the customer excludes decide whether it may be shown
};
static_assert(sizeof(OfferRow) == 64);

// All offers at one moment.
struct OfferTable {
  std::vector<std::shared_ptr<const CatalogueOffer>> offers;              // by OfferIndex
  std::vector<OfferRow> rows;                                             // by OfferIndex
  std::string texts;                                                      // the ids, one after the other: near to each other in memory
  absl::flat_hash_map<absl::string_view, OfferIndex> index_of;            // keys live in `texts`
  absl::flat_hash_map<uint64_t, OfferIndex> index_of_key;  // by Fnv1aHash of the id; of two with the same the one that came first
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

  // Dense numbers, given out in order of first mention. The empty name is kNoName. A brand and a category of the same name have
  // numbers of their own.
  ItemIndex InternItem(absl::string_view id);
  NameIndex InternCategory(absl::string_view name);
  NameIndex InternBrand(absl::string_view name);
  const ItemIndex* FindItem(absl::string_view id) const { return item_index_.Find(id); }
  const NameIndex* FindCategory(absl::string_view name) const { return name_index_.Find(name); }
  const NameIndex* FindBrand(absl::string_view name) const;
  absl::string_view NameOf(NameIndex index) const;

  // `now` is when an item that was not in the catalogue arrives.
  void UpsertItem(const Item& item, TimeMicros now = 1);
  bool DeleteItem(const ItemId& id);  // false when not in the catalogue; its number stays
  // Returns the numbers of the offers whose covered items changed, in the order given.
  std::vector<OfferIndex> UpsertOffers(const std::vector<Offer>& offers, Sequence sequence);
  bool DeleteOffer(const OfferId& id);

  const CatalogueItem& ItemAt(ItemIndex index) const { return items_[static_cast<size_t>(index)]; }
  size_t num_item_numbers() const { return items_.size(); }
  int64_t num_items() const { return num_items_; }
  // False when every covered item is in the catalogue and none can be bought in the market.
  bool IsAvailable(const CatalogueOffer& offer, absl::string_view market) const;
  bool has_restricted_items() const { return num_restricted_ > 0; }  // false: every offer is available everywhere
  const OfferTable& offer_table() const { return *offer_table_; }
  const CatalogueOffer& OfferAt(OfferIndex index) const { return *offer_table_->offers[static_cast<size_t>(index)]; }
  const OfferRow& RowOf(OfferIndex index) const { return offer_table_->rows[static_cast<size_t>(index)]; }
  absl::string_view OfferIdOf(OfferIndex index) const {
    const OfferRow& row = RowOf(index);
    return absl::string_view(offer_table_->texts).substr(row.id_begin, row.id_size);
  }
  OfferIndex FindOffer(absl::string_view id) const;      // kNoOffer when unknown or deleted
  OfferIndex FindOfferByKey(uint64_t key) const;         // the same by Offer.offer_key
  // Of what is about to be looked for among many: the look-up waits for memory no more.
  void Prefetch(absl::string_view id) const { offer_table_->index_of.prefetch(id); }
  void PrefetchKey(uint64_t key) const { offer_table_->index_of_key.prefetch(key); }
  uint64_t OfferKeyOf(OfferIndex index) const;           // 0 where another offer has it
  // Offers, also deleted ones' numbers left out, that cover the item. Ascending.
  const std::vector<OfferIndex>& Covering(ItemIndex item) const;
  // Items in the catalogue of a category or brand, ascending.
  const std::vector<ItemIndex>& Members(NameIndex name) const;
  // The newest kMaxArrivals items by arrival, newest first, then by number; some may have left again.
  const std::vector<ItemIndex>& arrivals() const { return arrivals_; }
  static constexpr size_t kMaxArrivals = 256;
  // False for what is not in the catalogue, or cannot be bought in the market.
  bool IsOnSale(ItemIndex item, absl::string_view market) const;

  const OfferUse& UseOf(OfferIndex index) const;
  OfferUse& MutateUse(OfferIndex index) { return use_.Mutate(static_cast<size_t>(index)); }

  size_t num_names() const { return names_.size(); }

  // For writing and loading a base: a name as it is kept, brands marked; puts an entry at its number.
  const std::string& KeptName(NameIndex index) const { return names_[static_cast<size_t>(index)]; }
  void RestoreName(uint32_t index, absl::string_view kept_name);
  void RestoreItem(uint32_t index, absl::string_view id, TimeMicros arrived, const Item* item);
  void RestoreOffers(std::vector<std::shared_ptr<CatalogueOffer>> offers);  // by number; fills the derived parts

 private:
  NameIndex InternKept(absl::string_view kept_name);
  void AddMember(NameIndex name, ItemIndex item);
  void RemoveMember(NameIndex name, ItemIndex item);
  void Arrive(ItemIndex item);
  void IndexItem(ItemIndex index, const Item& item);
  std::shared_ptr<CatalogueOffer> MakeOffer(const Offer& offer, Sequence sequence);
  void Cover(const CatalogueOffer& offer, OfferIndex index, bool add);
  void Rebuild(std::vector<std::shared_ptr<const CatalogueOffer>> offers);

  PersistentMap<ItemIndex> item_index_;
  PersistentVector<CatalogueItem> items_;
  PersistentMap<NameIndex> name_index_;
  PersistentVector<std::string> names_;
  PersistentVector<std::vector<OfferIndex>> covering_;  // by ItemIndex
  PersistentVector<std::vector<ItemIndex>> members_;    // by NameIndex
  std::vector<ItemIndex> arrivals_;
  PersistentVector<OfferUse> use_;                      // by OfferIndex
  std::shared_ptr<const OfferTable> offer_table_;
  int64_t num_items_ = 0;
  int64_t num_restricted_ = 0;  // items with an unavailable market: none is the usual case, and then nothing is looked up
};

}  // namespace offerd
