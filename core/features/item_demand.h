#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/features/population.h"
#include "core/features/seasonality.h"
#include "core/persistent_map.h"
#include "core/persistent_vector.h"
#include "core/types.h"

namespace offerd {

// How many orders hold each item, by market and over all of them, fading as DayCount does; and the items most wanted.
//
// All items fade alike, so their order changes only when one is ordered: the lists of the most wanted are kept exact by looking
// at that one item, and are the same when made anew from the counts.
//
// Threads  As PersistentMap.
// Cost     AddOrder O(lines x kMostWanted) at worst; Find O(log markets).
class ItemDemand {
 public:
  static constexpr size_t kMostWanted = 256;
  struct Wanted {
    ItemIndex item{};
    double level = 0;  // log2 of the count, in terms that do not change as time passes
  };
  struct Market {
    DayCount orders;
    PersistentVector<DayCount> items;  // by ItemIndex
    SeasonCounts order_seasons;
    PersistentVector<SeasonCounts> item_seasons;  // by ItemIndex
    std::vector<Wanted> slow, fast;    // most wanted by each half-life: level descending, then number
  };

  // As Population::AddVisit; an empty market counts only for all of them.
  void AddOrder(absl::string_view market, TimeMicros time, bool begins, absl::Span<const ItemIndex> touched);

  // Orders of one market; of all for the empty name, and for a market without any.
  const Market& Of(absl::string_view market) const;
  const PersistentMap<Market>& markets() const { return markets_; }  // the empty name: all

  // For loading a base. Kind 0: all orders, 3: an item.
  void Restore(absl::string_view market, int kind, uint32_t index, const DayCount& count, const SeasonCounts& seasons);

 private:
  static void Count(Market& market, int64_t day, bool begins, absl::Span<const ItemIndex> touched);
  static void Rise(std::vector<Wanted>& list, Wanted wanted);
  static void RiseBoth(Market& market, ItemIndex item, const DayCount& count);

  PersistentMap<Market> markets_;
};

}  // namespace offerd
