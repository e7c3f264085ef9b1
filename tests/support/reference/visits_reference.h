#pragma once
#include <cmath>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/types.h"

namespace offerd {

// The slow twin of Profile and Population: keeps every visit and counts anew each time it is asked.
struct VisitsReference {
  struct Visit {
    std::string customer;
    std::string order;  // empty: none
    TimeMicros time;    // of its first lines
    std::set<std::string> items;
  };
  std::vector<Visit> visits;
  using Holds = std::function<bool(const std::string& item)>;

  // Lines join the customer's last visit when that has the same order id.
  void Add(const std::string& customer, const std::string& order, TimeMicros time, const std::vector<std::string>& items) {
    for (size_t i = visits.size(); i-- > 0;) {
      if (visits[i].customer != customer) continue;
      if (order.empty() || visits[i].order != order) break;
      visits[i].items.insert(items.begin(), items.end());
      return;
    }
    visits.push_back({customer, order, time, {items.begin(), items.end()}});
  }

  struct Sum {
    uint32_t visits = 0;
    uint32_t last_visit = 0;  // number of the last such visit among all of the customer, from 1
    TimeMicros first = 0, last = 0;
    long double decayed = 0;  // as of `last`, half-life 56 days
    int64_t lines = 0;        // distinct items of all visits of the customer
  };
  static bool Holding(const Visit& visit, const Holds& holds) {
    for (const std::string& item : visit.items) {
      if (holds(item)) return true;
    }
    return false;
  }
  // Every visit counts when `holds` is null.
  Sum Of(const std::string& customer, const Holds& holds) const {
    Sum sum;
    std::vector<TimeMicros> times;
    uint32_t number = 0;
    for (const Visit& visit : visits) {
      if (visit.customer != customer) continue;
      ++number;
      sum.lines += static_cast<int64_t>(visit.items.size());
      if (holds != nullptr && !Holding(visit, holds)) continue;
      if (times.empty() || visit.time < sum.first) sum.first = visit.time;
      if (times.empty() || visit.time > sum.last) sum.last = visit.time;
      times.push_back(visit.time);
      sum.last_visit = number;
    }
    sum.visits = static_cast<uint32_t>(times.size());
    for (const TimeMicros time : times) {
      sum.decayed += std::exp2(-static_cast<long double>(sum.last - time) / (56.0L * kMicrosPerDay));
    }
    return sum;
  }

  // Share of all visits that held it, fading by whole UTC days; no visit is after `now`.
  double Rate(const Holds& holds, TimeMicros now, double half_life_days) const {
    const auto day = [](TimeMicros time) { return std::floor(static_cast<double>(time) / static_cast<double>(kMicrosPerDay)); };
    long double all = 0, held = 0;
    for (const Visit& visit : visits) {
      const long double weight = std::exp2(-static_cast<long double>(day(now) - day(visit.time)) / half_life_days);
      all += weight;
      if (Holding(visit, holds)) held += weight;
    }
    return all == 0 ? 0 : static_cast<double>(held / all);
  }
};

}  // namespace offerd
