#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "core/records.h"
#include "core/types.h"

namespace offerd {

// What one event says of one shown slot.
struct SlotEvent {
  uint64_t id = 0;        // hash of the event's id
  TimeMicros time = 0;
  double weight = 0;      // of its kind, the customer and the attribution
  double amount = 1;      // 1 by kind; money of the covered lines by revenue or margin, major units
  uint64_t reverses = 0;  // a refund: hash of the id of the event it takes back; 0 = none
  bool takes_all = false;  // a refund without lines, or where rewards go by kind
};

inline constexpr size_t kMaxSlotEvents = 256;  // of one slot

// What a slot has earned by its events so far, in whatever order they came; nothing when no event is left that counts.
//
// A refund takes its amount back from the event that it names, down to nothing; an event of which nothing is left has not
// happened. value_cap bounds the amount of one event after refunds. kSum adds in order of time, then id; kMax takes the largest;
// kEarliest the event with the smallest time, then id.
std::optional<double> SlotReward(const RewardSpec& spec, const std::vector<SlotEvent>& events);

}  // namespace offerd
