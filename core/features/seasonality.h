#pragma once
#include <cstddef>
#include <cstdint>

namespace offerd {

// In which part of the week and of the year something is ordered: orders by weekday and by month, in event time.
//
// Both halve at every turn of the year, so that old habits fade; an order that comes late counts what it would have counted by then.
// Units   day: days since 1970, UTC.
// Bits    Sums of powers of two: the same in any order of orders, up to 2^24 of them.
struct SeasonCounts {
  int32_t year = 0;  // calendar year of the newest order; meaning of the sums
  float weekdays[7] = {};  // Monday first
  float months[12] = {};   // January first

  void Add(int64_t day);
};

// How much more or less an item is ordered on a day than on average, as far as its orders can say: (share of the item's orders on that
// weekday) / (share of all orders), the item's shrunk towards all orders by as many orders as a noisy share is worth; times the same of
// the time of year, over that of `mean_age_days` before, where the count that is multiplied comes from. The time of year is left out
// until there are orders of all twelve months. Between the middles of months it moves linearly.
//
// Threads  Immutable; refers to `all`, which must outlive it.
class Season {
 public:
  Season(const SeasonCounts& all, int64_t day, double mean_age_days);

  // In [1/4, 4]; 1 where nothing is known.
  double Factor(const SeasonCounts& item) const;

 private:
  // A time of the year between the middles of two months.
  struct Moment {
    size_t months[2];
    double parts[2];
  };
  static Moment MomentOf(int64_t day);
  double LiftAt(const Moment& moment, const SeasonCounts& item, double fade, double orders) const;

  const SeasonCounts& all_;
  const size_t weekday_;
  const Moment now_, before_;
  double weekday_share_ = 0;      // of all orders; 0: there are none
  double month_shares_[12] = {};
  bool knows_a_year_ = false;
};

}  // namespace offerd
