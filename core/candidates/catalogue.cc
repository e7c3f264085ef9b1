#include "core/candidates/catalogue.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/check.h"
#include "core/hash.h"

namespace offerd {
namespace {

constexpr absl::string_view kBrandMark = "\x1f";  // a control character: no category begins with it

OfferRow MakeRow(const CatalogueOffer& entry, size_t id_rank) {
  OfferRow row;
  row.id_rank = static_cast<int32_t>(id_rank);
  if (entry.offer == nullptr) return row;
  const Offer& offer = *entry.offer;
  row.starts_at = offer.starts_at;
  row.ends_at = offer.ends_at;
  row.mean_price = entry.mean_price;
  row.mean_margin = entry.mean_margin;
  row.coverage_sequence = entry.coverage_sequence;
  row.category = entry.category;
  row.brand = entry.brand;
  row.num_items = static_cast<uint32_t>(entry.items.size());
  row.is_live = true;
  row.is_plain = offer.markets.empty() && offer.stock <= 0 && offer.budget_micros <= 0 && !offer.requires_consent &&
                 offer.audiences.empty() && !offer.only_sent;
  return row;
}

}  // namespace

Catalogue::Catalogue() : offer_table_(std::make_shared<OfferTable>()) {}

ItemIndex Catalogue::InternItem(absl::string_view id) {
  if (const ItemIndex* known = item_index_.Find(id)) return *known;
  const ItemIndex index{static_cast<uint32_t>(items_.size())};
  item_index_.Mutate(id) = index;
  items_.Mutate(items_.size()).id = ItemId(id);
  return index;
}

// One table holds the names of categories, as they are, and of brands, behind a mark.
NameIndex Catalogue::InternCategory(absl::string_view name) { return name.empty() ? kNoName : InternKept(name); }
NameIndex Catalogue::InternBrand(absl::string_view name) { return name.empty() ? kNoName : InternKept(absl::StrCat(kBrandMark, name)); }
const NameIndex* Catalogue::FindBrand(absl::string_view name) const { return name_index_.Find(absl::StrCat(kBrandMark, name)); }
absl::string_view Catalogue::NameOf(NameIndex index) const { return absl::StripPrefix(KeptName(index), kBrandMark); }

NameIndex Catalogue::InternKept(absl::string_view name) {
  if (const NameIndex* known = name_index_.Find(name)) return *known;
  const NameIndex index{static_cast<uint32_t>(names_.size())};
  name_index_.Mutate(name) = index;
  names_.Mutate(names_.size()) = std::string(name.data(), name.size());
  return index;
}

void Catalogue::IndexItem(ItemIndex index, const Item& item) {
  const NameIndex category = InternCategory(item.category_path.empty() ? "" : item.category_path.back());
  const NameIndex brand = InternBrand(item.brand);
  CatalogueItem& entry = items_.Mutate(static_cast<size_t>(index));
  if (entry.item == nullptr) ++num_items_;
  if (entry.item != nullptr && !entry.item->unavailable_markets.empty()) --num_restricted_;
  if (!item.unavailable_markets.empty()) ++num_restricted_;
  if (entry.category != category) {
    RemoveMember(entry.category, index);
    AddMember(category, index);
  }
  if (entry.brand != brand) {
    RemoveMember(entry.brand, index);
    AddMember(brand, index);
  }
  entry.item = std::make_shared<Item>(item);
  entry.category = category;
  entry.brand = brand;
}

void Catalogue::AddMember(NameIndex name, ItemIndex item) {
  if (name == kNoName) return;
  std::vector<ItemIndex>& members = members_.Mutate(static_cast<size_t>(name));
  members.insert(std::lower_bound(members.begin(), members.end(), item), item);
}

void Catalogue::RemoveMember(NameIndex name, ItemIndex item) {
  if (name == kNoName) return;
  std::vector<ItemIndex>& members = members_.Mutate(static_cast<size_t>(name));
  const auto at = std::lower_bound(members.begin(), members.end(), item);
  if (at != members.end() && *at == item) members.erase(at);
}

const std::vector<ItemIndex>& Catalogue::Members(NameIndex name) const {
  static const std::vector<ItemIndex>& nothing = *new std::vector<ItemIndex>();
  const std::vector<ItemIndex>* found = name == kNoName ? nullptr : members_.Find(static_cast<size_t>(name));
  return found == nullptr ? nothing : *found;
}

bool Catalogue::IsOnSale(ItemIndex index, absl::string_view market) const {
  const Item* item = ItemAt(index).item.get();
  if (item == nullptr) return false;
  const auto& closed = item->unavailable_markets;
  return std::find(closed.begin(), closed.end(), market) == closed.end();
}

void Catalogue::Arrive(ItemIndex item) {
  const auto is_before = [this](ItemIndex a, ItemIndex b) {
    const TimeMicros x = ItemAt(a).arrived, y = ItemAt(b).arrived;
    return x != y ? x > y : a < b;
  };
  // Neither new enough nor, then, in it: arrivals only become later.
  if (arrivals_.size() == kMaxArrivals && is_before(arrivals_.back(), item)) return;
  const auto known = std::find(arrivals_.begin(), arrivals_.end(), item);
  if (known != arrivals_.end()) arrivals_.erase(known);
  arrivals_.insert(std::lower_bound(arrivals_.begin(), arrivals_.end(), item, is_before), item);
  if (arrivals_.size() > kMaxArrivals) arrivals_.pop_back();
}

void Catalogue::UpsertItem(const Item& item, TimeMicros now) {
  const ItemIndex index = InternItem(item.id.value());
  const bool is_new = ItemAt(index).item == nullptr;
  IndexItem(index, item);
  if (!is_new) return;
  items_.Mutate(static_cast<size_t>(index)).arrived = now;
  Arrive(index);
}

bool Catalogue::DeleteItem(const ItemId& id) {
  const ItemIndex* index = item_index_.Find(id.value());
  if (index == nullptr || ItemAt(*index).item == nullptr) return false;
  CatalogueItem& entry = items_.Mutate(static_cast<size_t>(*index));
  if (!entry.item->unavailable_markets.empty()) --num_restricted_;
  RemoveMember(entry.category, *index);
  RemoveMember(entry.brand, *index);
  entry.item = nullptr;
  entry.category = kNoName;
  entry.brand = kNoName;
  --num_items_;
  return true;
}

std::shared_ptr<CatalogueOffer> Catalogue::MakeOffer(const Offer& offer, Sequence sequence) {
  auto entry = std::make_shared<CatalogueOffer>();
  entry->offer = std::make_shared<Offer>(offer);
  entry->id = offer.id;
  entry->items.reserve(offer.item_ids.size());
  for (const std::string& item : offer.item_ids) entry->items.push_back(InternItem(item));
  std::sort(entry->items.begin(), entry->items.end());
  entry->items.erase(std::unique(entry->items.begin(), entry->items.end()), entry->items.end());
  entry->category = InternCategory(offer.category);
  int known = 0;
  for (const ItemIndex index : entry->items) {
    const CatalogueItem& item = ItemAt(index);
    if (entry->category == kNoName) entry->category = item.category;
    if (entry->brand == kNoName) entry->brand = item.brand;
    if (item.item == nullptr) continue;
    ++known;
    entry->mean_price += static_cast<double>(item.item->price_micros) * 1e-6;
    entry->mean_margin += static_cast<double>(item.item->price_micros - item.item->cost_micros) * 1e-6;
  }
  if (known > 0) {
    entry->mean_price /= known;
    entry->mean_margin /= known;
  }
  entry->coverage_sequence = sequence;
  return entry;
}

void Catalogue::Cover(const CatalogueOffer& offer, OfferIndex index, bool add) {
  for (const ItemIndex item : offer.items) {
    std::vector<OfferIndex>& covering = covering_.Mutate(static_cast<size_t>(item));
    const auto at = std::lower_bound(covering.begin(), covering.end(), index);
    const bool present = at != covering.end() && *at == index;
    if (add && !present) covering.insert(at, index);
    if (!add && present) covering.erase(at);
  }
}

std::vector<OfferIndex> Catalogue::UpsertOffers(const std::vector<Offer>& offers, Sequence sequence) {
  std::vector<std::shared_ptr<const CatalogueOffer>> all = offer_table_->offers;
  absl::flat_hash_map<std::string, OfferIndex> fresh;  // new in this batch
  std::vector<OfferIndex> changed;
  for (const Offer& offer : offers) {
    // A number once given to an id comes back to it, also after a deletion.
    OfferIndex index = kNoOffer;
    if (const auto it = offer_table_->index_of.find(offer.id.value()); it != offer_table_->index_of.end()) index = it->second;
    if (const auto it = fresh.find(offer.id.value()); it != fresh.end()) index = it->second;
    auto entry = MakeOffer(offer, sequence);
    if (index == kNoOffer) {
      index = OfferIndex{static_cast<uint32_t>(all.size())};
      fresh.emplace(offer.id.value(), index);
      all.push_back(nullptr);
    }
    const auto& before = all[static_cast<size_t>(index)];
    if (before != nullptr && before->offer != nullptr && before->items == entry->items) {
      entry->coverage_sequence = before->coverage_sequence;
    } else {
      if (before != nullptr && before->offer != nullptr) Cover(*before, index, false);
      Cover(*entry, index, true);
      if (std::find(changed.begin(), changed.end(), index) == changed.end()) changed.push_back(index);
    }
    all[static_cast<size_t>(index)] = std::move(entry);
  }
  Rebuild(std::move(all));
  return changed;
}

bool Catalogue::DeleteOffer(const OfferId& id) {
  const OfferIndex index = FindOffer(id.value());
  if (index == kNoOffer) return false;
  std::vector<std::shared_ptr<const CatalogueOffer>> all = offer_table_->offers;
  Cover(*all[static_cast<size_t>(index)], index, false);
  auto gone = std::make_shared<CatalogueOffer>();
  gone->id = id;
  all[static_cast<size_t>(index)] = std::move(gone);
  Rebuild(std::move(all));
  return true;
}

void Catalogue::Rebuild(std::vector<std::shared_ptr<const CatalogueOffer>> offers) {
  auto table = std::make_shared<OfferTable>();
  table->index_of.reserve(offers.size());
  table->index_of_key.reserve(offers.size());
  table->rows.resize(offers.size());
  std::vector<OfferIndex> by_id;
  by_id.reserve(offers.size());
  for (size_t i = 0; i < offers.size(); ++i) by_id.push_back(OfferIndex{static_cast<uint32_t>(i)});
  std::sort(by_id.begin(), by_id.end(), [&offers](OfferIndex a, OfferIndex b) {
    return offers[static_cast<size_t>(a)]->id < offers[static_cast<size_t>(b)]->id;
  });
  for (size_t rank = 0; rank < by_id.size(); ++rank) {
    const CatalogueOffer& entry = *offers[static_cast<size_t>(by_id[rank])];
    table->rows[static_cast<size_t>(by_id[rank])] = MakeRow(entry, rank);
    if (entry.offer != nullptr) table->by_id.push_back(by_id[rank]);
  }
  table->offers = std::move(offers);
  for (size_t i = 0; i < table->offers.size(); ++i) {
    OfferRow& row = table->rows[i];
    row.id_begin = static_cast<uint32_t>(table->texts.size());
    row.id_size = static_cast<uint16_t>(table->offers[i]->id.value().size());
    CHECK(row.id_size == table->offers[i]->id.value().size());
    table->texts += table->offers[i]->id.value();
    CHECK(table->texts.size() <= UINT32_MAX);
  }
  for (size_t i = 0; i < table->offers.size(); ++i) {  // `texts` stays where it is now
    const OfferRow& row = table->rows[i];
    const absl::string_view id = absl::string_view(table->texts).substr(row.id_begin, row.id_size);
    table->index_of.emplace(id, OfferIndex{static_cast<uint32_t>(i)});
    table->index_of_key.emplace(Fnv1aHash(id), OfferIndex{static_cast<uint32_t>(i)});
  }
  table->by_coverage = table->by_id;
  std::stable_sort(table->by_coverage.begin(), table->by_coverage.end(), [&table](OfferIndex a, OfferIndex b) {
    return table->offers[static_cast<size_t>(a)]->coverage_sequence > table->offers[static_cast<size_t>(b)]->coverage_sequence;
  });
  offer_table_ = std::move(table);
}

bool Catalogue::IsAvailable(const CatalogueOffer& offer, absl::string_view market) const {
  if (num_restricted_ == 0 || offer.items.empty()) return true;
  for (const ItemIndex index : offer.items) {
    const CatalogueItem& item = ItemAt(index);
    if (item.item == nullptr) return true;
    const auto& closed = item.item->unavailable_markets;
    if (std::find(closed.begin(), closed.end(), market) == closed.end()) return true;
  }
  return false;
}

OfferIndex Catalogue::FindOffer(absl::string_view id) const {
  const auto it = offer_table_->index_of.find(id);
  if (it == offer_table_->index_of.end()) return kNoOffer;
  return RowOf(it->second).is_live ? it->second : kNoOffer;
}

OfferIndex Catalogue::FindOfferByKey(uint64_t key) const {
  const auto it = offer_table_->index_of_key.find(key);
  if (it == offer_table_->index_of_key.end()) return kNoOffer;
  return RowOf(it->second).is_live ? it->second : kNoOffer;
}

uint64_t Catalogue::OfferKeyOf(OfferIndex index) const {
  const uint64_t key = Fnv1aHash(OfferIdOf(index));
  return FindOfferByKey(key) == index ? key : 0;
}

const std::vector<OfferIndex>& Catalogue::Covering(ItemIndex item) const {
  static const std::vector<OfferIndex>& nothing = *new std::vector<OfferIndex>();
  const std::vector<OfferIndex>* found = covering_.Find(static_cast<size_t>(item));
  return found == nullptr ? nothing : *found;
}

const OfferUse& Catalogue::UseOf(OfferIndex index) const {
  static const OfferUse& nothing = *new OfferUse();
  const OfferUse* found = use_.Find(static_cast<size_t>(index));
  return found == nullptr ? nothing : *found;
}

void Catalogue::RestoreName(uint32_t index, absl::string_view name) {
  names_.Mutate(index) = std::string(name.data(), name.size());
  name_index_.Mutate(name) = NameIndex{index};
}

void Catalogue::RestoreItem(uint32_t index, absl::string_view id, TimeMicros arrived, const Item* item) {
  item_index_.Mutate(id) = ItemIndex{index};
  items_.Mutate(index).id = ItemId(id);
  items_.Mutate(index).arrived = arrived;
  if (arrived != 0) Arrive(ItemIndex{index});
  if (item != nullptr) IndexItem(ItemIndex{index}, *item);
}

void Catalogue::RestoreOffers(std::vector<std::shared_ptr<CatalogueOffer>> offers) {
  std::vector<std::shared_ptr<const CatalogueOffer>> all;
  all.reserve(offers.size());
  for (size_t i = 0; i < offers.size(); ++i) {
    CatalogueOffer& entry = *offers[i];
    if (entry.offer != nullptr) {
      // What was taken from the items when the offer came stays as it was, whatever the items have become since.
      const CatalogueOffer stored = entry;
      entry = *MakeOffer(*stored.offer, stored.coverage_sequence);
      entry.category = stored.category;
      entry.brand = stored.brand;
      entry.mean_price = stored.mean_price;
      entry.mean_margin = stored.mean_margin;
      Cover(entry, OfferIndex{static_cast<uint32_t>(i)}, true);
    }
    all.push_back(offers[i]);
  }
  Rebuild(std::move(all));
}

}  // namespace offerd
