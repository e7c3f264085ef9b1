#include "core/features/profile.h"

#include <algorithm>
#include <cmath>

namespace offerd {
namespace {

void CountInto(Affinity& affinity, TimeMicros time, uint32_t visit) {
  if (affinity.visits == 0) {
    affinity.first = time;
    affinity.last = time;
    affinity.decayed = 1;
  } else if (time >= affinity.last) {
    affinity.decayed = affinity.decayed * Decay(affinity.last, time, kAffinityHalfLifeDays) + 1;
    affinity.last = time;
  } else {
    affinity.decayed += Decay(time, affinity.last, kAffinityHalfLifeDays);
    affinity.first = std::min(affinity.first, time);
  }
  ++affinity.visits;
  affinity.last_visit = visit;
}

// Do two ascending lists share an entry?
bool Intersect(absl::Span<const ItemIndex> few, absl::Span<const ItemIndex> many) {
  if (few.size() > many.size()) std::swap(few, many);
  for (const ItemIndex item : few) {
    if (std::binary_search(many.begin(), many.end(), item)) return true;
  }
  return false;
}

bool KeyLess(const Affinity& affinity, uint64_t key) { return affinity.key < key; }

}  // namespace

double Decay(TimeMicros earlier, TimeMicros later, double half_life_days) {
  if (later <= earlier) return 1;
  return std::exp2(-static_cast<double>(later - earlier) / (half_life_days * static_cast<double>(kMicrosPerDay)));
}

void Profile::Count(uint64_t key, TimeMicros time) {
  auto at = std::lower_bound(affinities_.begin(), affinities_.end(), key, KeyLess);
  if (at == affinities_.end() || at->key != key) {
    at = affinities_.insert(at, Affinity{});
    at->key = key;
  }
  if (at->visits == 0 || at->last_visit != num_visits_) CountInto(*at, time, num_visits_);
}

bool Profile::AddVisit(TimeMicros time, uint64_t order, absl::Span<const ItemIndex> items, const Catalogue& catalogue,
                       Sequence sequence, int64_t max_bytes, std::vector<ItemIndex>& touched) {
  CatchUpWithCatalogue(catalogue);
  touched.assign(items.begin(), items.end());
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());

  const bool begins = order == 0 || visits_.empty() || visits_.back().order != order;
  if (begins) {
    if (num_visits_ == 0) {
      first_visit_ = last_visit_ = time;
      decayed_visits_ = 1;
    } else if (time >= last_visit_) {
      decayed_visits_ = decayed_visits_ * Decay(last_visit_, time, kAffinityHalfLifeDays) + 1;
      last_visit_ = time;
    } else {
      decayed_visits_ += Decay(time, last_visit_, kAffinityHalfLifeDays);
      first_visit_ = std::min(first_visit_, time);
    }
    ++num_visits_;
    visits_.push_back({time, order, 0});
  } else {
    const auto visit_begin = items_.end() - visits_.back().num_items;
    touched.erase(std::remove_if(touched.begin(), touched.end(),
                                 [&](ItemIndex item) { return std::binary_search(visit_begin, items_.end(), item); }),
                  touched.end());
  }
  Visit& visit = visits_.back();
  for (const ItemIndex item : touched) {
    const CatalogueItem& entry = catalogue.ItemAt(item);
    if (entry.category != kNoName) Count(AffinityKey(Affinity::Kind::kCategory, static_cast<uint32_t>(entry.category)), visit.time);
    if (entry.brand != kNoName) Count(AffinityKey(Affinity::Kind::kBrand, static_cast<uint32_t>(entry.brand)), visit.time);
    for (const OfferIndex offer : catalogue.Covering(item)) {
      Count(AffinityKey(Affinity::Kind::kOffer, static_cast<uint32_t>(offer)), visit.time);
    }
  }
  items_.insert(items_.end(), touched.begin(), touched.end());
  visit.num_items += static_cast<uint32_t>(touched.size());
  std::sort(items_.end() - visit.num_items, items_.end());
  num_lines_ += static_cast<int64_t>(touched.size());
  folded_sequence_ = sequence;
  Trim(max_bytes);
  return begins;
}

void Profile::AbsorbVisits(const Profile& other) {
  std::vector<Visit> visits;
  std::vector<ItemIndex> items;
  size_t at[2] = {0, 0}, item_at[2] = {0, 0};
  const Profile* sides[2] = {this, &other};
  const auto is_left = [&](int side) { return at[side] < sides[side]->visits_.size(); };
  while (is_left(0) || is_left(1)) {
    const int side = !is_left(1) || (is_left(0) && visits_[at[0]].time <= other.visits_[at[1]].time) ? 0 : 1;
    const Visit& visit = sides[side]->visits_[at[side]++];
    const auto begin = sides[side]->items_.begin() + static_cast<std::ptrdiff_t>(item_at[side]);
    items.insert(items.end(), begin, begin + visit.num_items);
    item_at[side] += visit.num_items;
    visits.push_back(visit);
  }
  visits_ = std::move(visits);
  items_ = std::move(items);
}

// A number of a visit means something only when it is that of the last one: "held in the last visit".
void Profile::AbsorbAffinities(const Profile& other, bool other_is_later) {
  const uint32_t all = num_visits_ + other.num_visits_;
  const auto renumber = [all](Affinity& affinity, const Profile& owner, bool is_later) {
    affinity.last_visit = is_later && affinity.last_visit == owner.num_visits_ ? all : 0;
  };
  for (Affinity& affinity : affinities_) renumber(affinity, *this, !other_is_later);
  for (Affinity added : other.affinities_) {
    renumber(added, other, other_is_later);
    auto at = std::lower_bound(affinities_.begin(), affinities_.end(), added.key, KeyLess);
    if (at == affinities_.end() || at->key != added.key) {
      affinities_.insert(at, added);
      continue;
    }
    const TimeMicros last = std::max(at->last, added.last);
    at->decayed = at->DecayedAt(last) + added.DecayedAt(last);
    at->visits += added.visits;
    at->first = std::min(at->first, added.first);
    at->last = last;
    at->last_visit = std::max(at->last_visit, added.last_visit);
  }
}

void Profile::Absorb(Profile other, const Catalogue& catalogue, int64_t max_bytes) {
  CatchUpWithCatalogue(catalogue);
  other.CatchUpWithCatalogue(catalogue);
  const auto add_missing = [](const std::vector<std::string>& from, std::vector<std::string>* to) {
    for (const std::string& name : from) {
      if (std::find(to->begin(), to->end(), name) == to->end()) to->push_back(name);
    }
  };
  add_missing(other.customer.audiences, &customer.audiences);
  add_missing(other.customer.campaigns, &customer.campaigns);
  interests_.insert(interests_.end(), other.interests_.begin(), other.interests_.end());
  std::stable_sort(interests_.begin(), interests_.end(), [](const Interest& a, const Interest& b) { return a.time < b.time; });
  if (interests_.size() > kMaxInterests) interests_.erase(interests_.begin(), interests_.end() - kMaxInterests);
  exposures_.insert(exposures_.end(), other.exposures_.begin(), other.exposures_.end());
  std::stable_sort(exposures_.begin(), exposures_.end(), [](const Exposure& a, const Exposure& b) { return a.time < b.time; });
  if (exposures_.size() > kMaxExposures) exposures_.erase(exposures_.begin(), exposures_.end() - kMaxExposures);
  add_missing(other.customer.excluded_offers, &customer.excluded_offers);
  add_missing(other.customer.excluded_categories, &customer.excluded_categories);
  if (other.num_visits_ == 0) return;
  const bool other_is_later = num_visits_ == 0 || other.last_visit_ > last_visit_;
  AbsorbAffinities(other, other_is_later);
  AbsorbVisits(other);
  const TimeMicros last = num_visits_ == 0 ? other.last_visit_ : std::max(last_visit_, other.last_visit_);
  decayed_visits_ = (num_visits_ == 0 ? 0 : DecayedVisits(last)) + other.DecayedVisits(last);
  first_visit_ = num_visits_ == 0 ? other.first_visit_ : std::min(first_visit_, other.first_visit_);
  last_visit_ = last;
  num_visits_ += other.num_visits_;
  num_lines_ += other.num_lines_;
  folded_sequence_ = std::max(folded_sequence_, other.folded_sequence_);
  Trim(max_bytes);
}

void Profile::AddExposure(TimeMicros time, OfferIndex offer) {
  exposures_.push_back({time, offer});
  if (exposures_.size() > kMaxExposures) exposures_.erase(exposures_.begin());
}

int Profile::CountShown(OfferIndex offer, TimeMicros after) const {
  return static_cast<int>(std::count_if(exposures_.begin(), exposures_.end(),
                                        [&](const Exposure& shown) { return shown.offer == offer && shown.time > after; }));
}

void Profile::AddInterest(TimeMicros time, EventKind kind, ItemIndex item) {
  interests_.push_back({time, item, kind});
  if (interests_.size() > kMaxInterests) interests_.erase(interests_.begin());
}

void Profile::Trim(int64_t max_bytes) {
  size_t gone = 0;
  size_t gone_items = 0;
  int64_t bytes = history_bytes();
  while (bytes > max_bytes && gone + 1 < visits_.size()) {
    bytes -= static_cast<int64_t>(sizeof(Visit) + visits_[gone].num_items * sizeof(ItemIndex));
    gone_items += visits_[gone].num_items;
    ++gone;
  }
  visits_.erase(visits_.begin(), visits_.begin() + static_cast<std::ptrdiff_t>(gone));
  items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(gone_items));
}

bool Profile::SumOfHistory(absl::Span<const ItemIndex> covered, Affinity& sum) const {
  sum = Affinity{};
  size_t at = 0;
  uint32_t number = num_visits_ - static_cast<uint32_t>(visits_.size());
  for (const Visit& visit : visits_) {
    ++number;
    if (Intersect(covered, absl::MakeConstSpan(items_).subspan(at, visit.num_items))) CountInto(sum, visit.time, number);
    at += visit.num_items;
  }
  return sum.visits > 0;
}

// Of the offers whose coverage changed since the last visit those that may concern this customer: all of them where they are few, else
// those that cover what the customer has had, or were summed for them.
void Profile::FindChangedOffers(const Catalogue& catalogue, std::vector<OfferIndex>& changed) const {
  const std::vector<OfferIndex>& by_coverage = catalogue.offer_table().by_coverage;
  const size_t few = items_.size() + affinities_.size();
  const auto end = std::find_if(by_coverage.begin(), by_coverage.begin() + static_cast<ptrdiff_t>(std::min(by_coverage.size(), few + 1)),
                                [&](OfferIndex index) { return !IsOlderThan(catalogue.RowOf(index)); });
  changed.clear();
  if (static_cast<size_t>(end - by_coverage.begin()) <= few) {
    changed.assign(by_coverage.begin(), end);
    return;
  }
  const auto add = [&](OfferIndex index) {
    if (catalogue.RowOf(index).is_live && IsOlderThan(catalogue.RowOf(index))) changed.push_back(index);
  };
  for (const ItemIndex item : items_) {
    for (const OfferIndex index : catalogue.Covering(item)) add(index);
  }
  for (const Affinity& affinity : affinities_) {
    if (affinity.key >> 32 == static_cast<uint64_t>(Affinity::Kind::kOffer)) add(OfferIndex{static_cast<uint32_t>(affinity.key)});
  }
  std::sort(changed.begin(), changed.end());
  changed.erase(std::unique(changed.begin(), changed.end()), changed.end());
}

void Profile::CatchUpWithCatalogue(const Catalogue& catalogue) {
  std::vector<OfferIndex> changed;
  FindChangedOffers(catalogue, changed);
  for (const OfferIndex index : changed) {
    const uint64_t key = AffinityKey(Affinity::Kind::kOffer, static_cast<uint32_t>(index));
    auto at = std::lower_bound(affinities_.begin(), affinities_.end(), key, KeyLess);
    const bool present = at != affinities_.end() && at->key == key;
    Affinity sum;
    if (SumOfHistory(catalogue.OfferAt(index).items, sum)) {
      sum.key = key;
      if (present) {
        *at = sum;
      } else {
        affinities_.insert(at, sum);
      }
    } else if (present) {
      affinities_.erase(at);
    }
  }
}

const Affinity* Profile::Find(Affinity::Kind kind, uint32_t index) const {
  const uint64_t key = AffinityKey(kind, index);
  const auto at = std::lower_bound(affinities_.begin(), affinities_.end(), key, KeyLess);
  return at != affinities_.end() && at->key == key ? &*at : nullptr;
}

const Affinity* Profile::OfferAffinity(OfferIndex index, const Catalogue& catalogue, Affinity& scratch) const {
  if (IsOlderThan(catalogue.RowOf(index))) {
    return SumOfHistory(catalogue.OfferAt(index).items, scratch) ? &scratch : nullptr;
  }
  return Find(Affinity::Kind::kOffer, static_cast<uint32_t>(index));
}

Profile::Parts Profile::ToParts() const {
  return {folded_sequence_, num_visits_, first_visit_, last_visit_, num_lines_, decayed_visits_, visits_, items_, affinities_, interests_, exposures_};
}

void Profile::SetParts(Parts parts) {
  folded_sequence_ = parts.folded_sequence;
  num_visits_ = parts.num_visits;
  first_visit_ = parts.first_visit;
  last_visit_ = parts.last_visit;
  num_lines_ = parts.num_lines;
  decayed_visits_ = parts.decayed_visits;
  visits_ = std::move(parts.visits);
  items_ = std::move(parts.items);
  affinities_ = std::move(parts.affinities);
  interests_ = std::move(parts.interests);
  exposures_ = std::move(parts.exposures);
}

}  // namespace offerd
