#include "core/features/population.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace offerd {
namespace {

// Powers for the days that are asked for all the time, by the same function as those beyond.
class DecayTable {
 public:
  explicit DecayTable(double half_life_days) : half_life_days_(half_life_days) {
    for (size_t i = 0; i < kDays; ++i) powers_[i] = Power(static_cast<int64_t>(i));
  }
  double At(int64_t days) const {
    if (days <= 0) return 1;
    return days < static_cast<int64_t>(kDays) ? powers_[static_cast<size_t>(days)] : Power(days);
  }

 private:
  static constexpr size_t kDays = 512;
  double Power(int64_t days) const { return std::exp2(-static_cast<double>(days) / half_life_days_); }
  const double half_life_days_;
  double powers_[kDays];
};

double SlowDecay(int64_t days) {
  static const DecayTable table(kSlowHalfLifeDays);
  return table.At(days);
}
double FastDecay(int64_t days) {
  static const DecayTable table(kFastHalfLifeDays);
  return table.At(days);
}

// The distinct offers (first) and names (second) that a list of items stands for, ascending.
void Expand(absl::Span<const ItemIndex> items, const Catalogue& catalogue, std::vector<uint32_t>& offers,
            std::vector<uint32_t>& names) {
  offers.clear();
  names.clear();
  for (const ItemIndex item : items) {
    const CatalogueItem& entry = catalogue.ItemAt(item);
    if (entry.category != kNoName) names.push_back(static_cast<uint32_t>(entry.category));
    if (entry.brand != kNoName) names.push_back(static_cast<uint32_t>(entry.brand));
    for (const OfferIndex offer : catalogue.Covering(item)) offers.push_back(static_cast<uint32_t>(offer));
  }
  for (std::vector<uint32_t>* list : {&offers, &names}) {
    std::sort(list->begin(), list->end());
    list->erase(std::unique(list->begin(), list->end()), list->end());
  }
}

}  // namespace

void DayCount::Add(int64_t on_day, uint32_t count) {
  if (count == 0) return;
  const bool empty = today == 0 && slow == 0 && fast == 0;
  if (empty || on_day > day) {
    if (!empty) {
      slow = (slow + today) * SlowDecay(on_day - day);
      fast = (fast + today) * FastDecay(on_day - day);
    }
    day = static_cast<int32_t>(on_day);
    today = count;
  } else if (on_day == day) {
    today += count;
  } else {
    slow += count * SlowDecay(day - on_day);
    fast += count * FastDecay(day - on_day);
  }
}

double DayCount::Slow(int64_t on_day) const { return (slow + today) * SlowDecay(on_day - day); }
double DayCount::Fast(int64_t on_day) const { return (fast + today) * FastDecay(on_day - day); }

void Population::AddVisit(TimeMicros time, bool begins, absl::Span<const ItemIndex> touched, absl::Span<const ItemIndex> held,
                          const Catalogue& catalogue) {
  const int64_t day = DayOf(time);
  if (begins) visits_.Add(day, 1);
  std::vector<uint32_t> offers, names, held_offers, held_names;
  Expand(touched, catalogue, offers, names);
  if (!held.empty()) Expand(held, catalogue, held_offers, held_names);
  for (const uint32_t offer : offers) {
    if (!std::binary_search(held_offers.begin(), held_offers.end(), offer)) offers_.Mutate(offer).Add(day, 1);
  }
  for (const uint32_t name : names) {
    if (!std::binary_search(held_names.begin(), held_names.end(), name)) names_.Mutate(name).Add(day, 1);
  }
}

void Population::RecountOffers(const std::vector<OfferIndex>& offers, const Catalogue& catalogue,
                               const PersistentMap<Profile>& customers) {
  if (offers.empty()) return;
  absl::flat_hash_map<uint32_t, std::vector<uint32_t>> positions;  // item -> positions in `offers`
  for (size_t i = 0; i < offers.size(); ++i) {
    for (const ItemIndex item : catalogue.OfferAt(offers[i]).items) {
      positions[static_cast<uint32_t>(item)].push_back(static_cast<uint32_t>(i));
    }
  }
  // Whole counts by day do not depend on the order of customers.
  std::vector<std::map<int64_t, uint32_t>> by_day(offers.size());
  std::vector<uint64_t> counted(offers.size(), 0);
  uint64_t visit_number = 0;
  customers.ForEach([&](absl::string_view, const Profile& profile) {
    size_t at = 0;
    for (const Profile::Visit& visit : profile.visits()) {
      ++visit_number;
      for (const ItemIndex item : profile.items().subspan(at, visit.num_items)) {
        const auto it = positions.find(static_cast<uint32_t>(item));
        if (it == positions.end()) continue;
        for (const uint32_t position : it->second) {
          if (counted[position] == visit_number) continue;
          counted[position] = visit_number;
          ++by_day[position][DayOf(visit.time)];
        }
      }
      at += visit.num_items;
    }
  });
  for (size_t i = 0; i < offers.size(); ++i) {
    DayCount& count = offers_.Mutate(static_cast<size_t>(offers[i]));
    count = DayCount{};
    for (const auto& [day, visits] : by_day[i]) count.Add(day, visits);
  }
}

Population::AsOf::AsOf(const Population& population, TimeMicros now)
    : population_(population), day_(DayOf(now)), slow_(population.visits_.Slow(day_)), fast_(population.visits_.Fast(day_)) {}

Population::Rates Population::AsOf::VisitsOf(const DayCount* count) const {
  if (count == nullptr) return {};
  const int64_t days = day_ - count->day;
  const double held = count->slow + count->today;
  return {held * SlowDecay(days), (count->fast + count->today) * FastDecay(days)};
}

void Population::Restore(int kind, uint32_t index, const DayCount& count) {
  if (kind == 0) visits_ = count;
  if (kind == 1) offers_.Mutate(index) = count;
  if (kind == 2) names_.Mutate(index) = count;
}

}  // namespace offerd
