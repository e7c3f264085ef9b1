#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "cli/evaluate/ids.h"
#include "cli/evaluate/role_file.h"
#include "core/similarity/baskets.h"
#include "core/types.h"

namespace offerd::evaluate {

enum class Protocol { kSessions, kLeaveOneOut, kNextBasket, kUsers };

inline constexpr uint32_t kNoUser = 0xffffffffu;

// What one user bought before the test.
struct HistoryEntry {
  TableItem item = 0;
  uint32_t count = 0;    // training baskets with the item
  TimeMicros last = 0;   // time of the last of them
};

// For each user: the distinct items in the order in which the file names them first, and the training baskets in order of time.
struct Histories {
  std::vector<uint64_t> entry_offsets = {0};
  std::vector<HistoryEntry> entries;
  std::vector<uint64_t> basket_offsets = {0};
  std::vector<uint32_t> baskets;

  size_t num_users() const { return entry_offsets.size() - 1; }
  absl::Span<const HistoryEntry> Of(uint32_t user) const;  // empty for a user without training baskets, and for kNoUser
  absl::Span<const uint32_t> BasketsOf(uint32_t user) const;
};

// What methods learn from.
//
// Shapes  rows: sessions (clicks in order of time, repeats kept), baskets in order of time, or what each user has; an item stands
//         once in a basket or user. times: one a row, the last click or the basket's; empty in the users protocol. item_counts: how
//         often each item stands in rows.
struct Training {
  Protocol protocol = Protocol::kSessions;
  Baskets rows;
  std::vector<TimeMicros> times;
  std::vector<uint32_t> item_counts;
  Histories histories;  // baskets protocols, where users are known

  size_t num_items() const { return rows.num_items; }
};

// Items that training does not know have numbers from training's num_items on.
struct TestRows {
  Baskets rows;                   // sessions, baskets, or what was held out of each user; in groups by `cluster`, ascending
  std::vector<TimeMicros> times;  // as in Training
  std::vector<uint32_t> users;    // of each row; kNoUser where unknown, empty in the sessions protocol
  std::vector<uint32_t> clusters;  // rows of one cluster are not independent: the session, the user, else the row itself
};

// A data set, read, numbered and split.
struct Dataset {
  Training training;
  TestRows test;
  std::vector<std::string> item_ids;  // of the training items, by number
  std::vector<FileReport> reports;    // of the files, in the order given

  // What the split left out or could not use, by name, for the report.
  std::vector<std::pair<std::string, int64_t>> counts;
};

}  // namespace offerd::evaluate
