#include "core/features/item_demand.h"

#include <algorithm>
#include <cmath>

namespace offerd {
namespace {

double Level(double count, int64_t day, double half_life_days) {
  return std::log2(count) + static_cast<double>(day) / half_life_days;
}

bool IsBefore(const ItemDemand::Wanted& a, const ItemDemand::Wanted& b) {
  return a.level != b.level ? a.level > b.level : a.item < b.item;
}

}  // namespace

void ItemDemand::Rise(std::vector<Wanted>& list, Wanted wanted) {
  if (list.size() >= kMostWanted && !IsBefore(wanted, list.back())) return;  // nor was it in the list: levels only rise
  const auto known = std::find_if(list.begin(), list.end(), [&](const Wanted& entry) { return entry.item == wanted.item; });
  if (known != list.end()) list.erase(known);
  list.insert(std::lower_bound(list.begin(), list.end(), wanted, IsBefore), wanted);
  if (list.size() > kMostWanted) list.pop_back();
}

void ItemDemand::RiseBoth(Market& market, ItemIndex item, const DayCount& count) {
  Rise(market.slow, {item, Level(count.slow + count.today, count.day, kSlowHalfLifeDays)});
  Rise(market.fast, {item, Level(count.fast + count.today, count.day, kFastHalfLifeDays)});
}

void ItemDemand::Count(Market& market, int64_t day, bool begins, absl::Span<const ItemIndex> touched) {
  if (begins) {
    market.orders.Add(day, 1);
    market.order_seasons.Add(day);
  }
  for (const ItemIndex item : touched) {
    DayCount& count = market.items.Mutate(static_cast<size_t>(item));
    count.Add(day, 1);
    market.item_seasons.Mutate(static_cast<size_t>(item)).Add(day);
    RiseBoth(market, item, count);
  }
}

void ItemDemand::AddOrder(absl::string_view market, TimeMicros time, bool begins, absl::Span<const ItemIndex> touched) {
  const int64_t day = DayOf(time);
  Count(markets_.Mutate(""), day, begins, touched);
  if (!market.empty()) Count(markets_.Mutate(market), day, begins, touched);
}

const ItemDemand::Market& ItemDemand::Of(absl::string_view market) const {
  static const Market& nothing = *new Market();
  const Market* found = markets_.Find(market);
  if (found == nullptr) found = markets_.Find("");
  return found == nullptr ? nothing : *found;
}

void ItemDemand::Restore(absl::string_view market, int kind, uint32_t index, const DayCount& count,
                         const SeasonCounts& seasons) {
  Market& restored = markets_.Mutate(market);
  if (kind == 0) {
    restored.orders = count;
    restored.order_seasons = seasons;
  }
  if (kind != 3) return;
  restored.items.Mutate(index) = count;
  restored.item_seasons.Mutate(index) = seasons;
  if (count.slow + count.today > 0) RiseBoth(restored, ItemIndex{index}, count);
}

}  // namespace offerd
