#pragma once
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/candidates/catalogue.h"
#include "core/features/profile.h"
#include "core/persistent_map.h"
#include "core/persistent_vector.h"
#include "core/types.h"

namespace offerd {

inline constexpr double kSlowHalfLifeDays = 28;
inline constexpr double kFastHalfLifeDays = 7;

// A count that fades by whole UTC days: what came today counts 1, yesterday 2^(-1 / half-life).
struct DayCount {
  int32_t day = 0;      // days since 1970; meaning of `today`
  uint32_t today = 0;   // whole, so that a sum made later from the kept visits has the same bits
  double slow = 0;      // days before `day`, half-life 28, as of `day`
  double fast = 0;      // half-life 7

  void Add(int64_t on_day, uint32_t count);
  double Slow(int64_t on_day) const;  // as of that day
  double Fast(int64_t on_day) const;
};

inline int64_t DayOf(TimeMicros time) { return time >= 0 ? time / kMicrosPerDay : -((kMicrosPerDay - 1 - time) / kMicrosPerDay); }
inline int WeekdayOf(int64_t day) { return static_cast<int>(((day + 3) % 7 + 7) % 7); }  // 0 = Monday; day 0 was a Thursday

// How often visits of all customers hold what an offer covers, or something of a category or brand.
//
// Threads  As PersistentMap.
// Units    Rates are visits that held it per visit, in [0, 1].
class Population {
 public:
  struct Rates {
    double slow = 0;
    double fast = 0;
  };

  // A visit, or more lines of one. `begins`: it was not yet counted. `touched`: items new to it; `held`: all items of the
  // visit before these (what they hold was counted already).
  void AddVisit(TimeMicros time, bool begins, absl::Span<const ItemIndex> touched, absl::Span<const ItemIndex> held,
                const Catalogue& catalogue);

  // Counts anew, from the kept visits of all customers, what the named offers would have counted.
  void RecountOffers(const std::vector<OfferIndex>& offers, const Catalogue& catalogue, const PersistentMap<Profile>& customers);

  // The rates as of one day; what they share is worked out once. The population outlives it and stays as it is.
  class AsOf {
   public:
    AsOf(const Population& population, TimeMicros now);
    Rates Offer(OfferIndex index) const { return RatesOf(OfferVisits(index)); }
    Rates Name(NameIndex index) const { return RatesOf(NameVisits(index)); }  // category or brand

    // The same in two steps, for many at once: visits that held it, and their share of all visits. kNoName, and what no visit held, has 0.
    Rates OfferVisits(OfferIndex index) const { return VisitsOf(population_.offers_.Find(static_cast<size_t>(index))); }
    Rates NameVisits(NameIndex index) const {
      return index == kNoName ? Rates{} : VisitsOf(population_.names_.Find(static_cast<size_t>(index)));
    }
    Rates RatesOf(const Rates& visits) const { return {Share(visits.slow, slow_), Share(visits.fast, fast_)}; }
    double all_slow() const { return slow_; }
    double all_fast() const { return fast_; }
    static double Share(double visits, double all) {
      const double share = visits / all;
      return all > 0 ? (share < 1.0 ? share : 1.0) : 0.0;
    }

   private:
    Rates VisitsOf(const DayCount* count) const;
    const Population& population_;
    const int64_t day_;
    const double slow_, fast_;  // all visits
  };
  Rates OfferRates(OfferIndex index, TimeMicros now) const { return AsOf(*this, now).Offer(index); }
  Rates NameRates(NameIndex index, TimeMicros now) const { return AsOf(*this, now).Name(index); }

  const DayCount& visits() const { return visits_; }
  const PersistentVector<DayCount>& offers() const { return offers_; }
  const PersistentVector<DayCount>& names() const { return names_; }
  void Restore(int kind, uint32_t index, const DayCount& count);  // kind as in stored.BaseDayCounts

 private:
  DayCount visits_;
  PersistentVector<DayCount> offers_;  // by OfferIndex
  PersistentVector<DayCount> names_;   // by NameIndex
};

}  // namespace offerd
