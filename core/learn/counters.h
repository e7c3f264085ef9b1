#pragma once
#include <array>
#include <cstdint>

#include "core/records.h"

namespace offerd {

// What the fold has counted since the log began: part of the state, so a restart and a replay count the same.
struct Counters {
  int64_t decisions = 0;
  int64_t activations = 0;
  std::array<std::array<int64_t, kNumFates>, kNumEventKinds> events{};  // logged events, by kind and fate
  int64_t outside_window = 0;  // events for an open decision, later than its window: they earn nothing
  int64_t unmatched = 0;       // events for an open decision that none of its shown slots answers to
  int64_t rewarded = 0;        // changes of a slot's reward
  int64_t refused_updates = 0;  // learning updates that would have left the range of numbers
  int64_t closed = 0;          // decisions whose window and lateness ran out
  int64_t closed_early = 0;    // for lack of room
  int64_t failed_publications = 0;
  int64_t before_decision = 0;   // events for an open decision, earlier than it: they earn nothing
  int64_t other_currency = 0;    // events in another currency than the placement's rewards: they earn nothing
  int64_t attributed = 0;        // purchases without a decision id that found one
  int64_t refunds = 0;           // that took back what an event had earned
  int64_t unknown_refunds = 0;   // of an event that no open decision knows (yet)
  int64_t overfull = 0;          // events that a slot had no room for
  int64_t settled = 0;           // slots that were held back and are counted now
  int64_t merged_customers = 0;

  // In a fixed order, for storage.
  template <typename Visitor>
  void ForEach(Visitor&& visit) {
    visit(decisions);
    visit(activations);
    for (auto& by_fate : events) {
      for (int64_t& count : by_fate) visit(count);
    }
    visit(outside_window);
    visit(unmatched);
    visit(rewarded);
    visit(refused_updates);
    visit(closed);
    visit(closed_early);
    visit(failed_publications);
    visit(before_decision);
    visit(other_currency);
    visit(attributed);
    visit(refunds);
    visit(unknown_refunds);
    visit(overfull);
    visit(settled);
    visit(merged_customers);
  }
};

// What can become of rewards beside plain earning, with the names that metrics use.
struct RewardOutcome {
  const char* name;
  int64_t Counters::* member;
};
inline constexpr RewardOutcome kRewardOutcomes[] = {
    {"outside_window", &Counters::outside_window},   {"unmatched", &Counters::unmatched},
    {"before_decision", &Counters::before_decision}, {"other_currency", &Counters::other_currency},
    {"attributed", &Counters::attributed},           {"refunded", &Counters::refunds},
    {"unknown_refund", &Counters::unknown_refunds},  {"overfull", &Counters::overfull},
    {"settled", &Counters::settled},                 {"refused_update", &Counters::refused_updates},
};

}  // namespace offerd
