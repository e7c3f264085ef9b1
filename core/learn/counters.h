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
  }
};

}  // namespace offerd
