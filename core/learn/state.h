#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/candidates/catalogue.h"
#include "core/features/encoder.h"
#include "core/features/facts.h"
#include "core/features/item_demand.h"
#include "core/features/population.h"
#include "core/features/profile.h"
#include "core/learn/counters.h"
#include "core/learn/examination.h"
#include "core/learn/live_guard.h"
#include "core/persistent_map.h"
#include "core/policy/linear_policy.h"
#include "core/records.h"
#include "core/similarity/list_table.h"
#include "core/types.h"

namespace offerd {

struct PlacementState {
  Placement placement;
  Sequence sequence = 0;  // log record that set it: its version
};

// A publication and the record that made it.
struct PublishedPolicy {
  Publication record;
  LinearPolicy policy;
};

struct PolicyState {
  Policy policy;
  Sequence model_sequence = 0;  // log record that began this model
  // Linear only:
  std::shared_ptr<const Encoder> encoder;
  std::shared_ptr<const FactPlan> plan;
  std::shared_ptr<const PublishedPolicy> in_force;            // an empty model is published with it; null if that failed
  std::vector<std::shared_ptr<const PublishedPolicy>> kept;   // for a roll back, oldest first, at most kMaxKept
  uint64_t newest_version = 0;
  bool is_pinned = false;

  static constexpr size_t kMaxKept = 16;
};

// A published table: which versions were in force, and the bytes of the one that is.
struct TableState {
  std::vector<TablePublished> versions;  // oldest first, at most kMaxKept; the last is in force
  std::shared_ptr<const ListTable> table;  // null: its files are missing or damaged
  static constexpr size_t kMaxKept = 16;
};

// The attempts to change who answers a placement, oldest first, at most kMaxKept.
struct ReleaseHistory {
  struct Entry {
    TimeMicros time = 0;
    bool tested = false;
    bool changed = false;
    std::string previous_policy;  // before it
    Mode previous_mode = Mode::kUnspecified;
    std::string report;
  };
  std::vector<Entry> entries;
  static constexpr size_t kMaxKept = 1000;
};

// Everything a request reads, as it is after one log record. Copies are free and stay as they were: a request pins one.
//
// Threads  Copied, changed and destroyed by the one writer; read by any thread while nobody changes that copy.
struct State {
  Sequence sequence = 0;
  TimeMicros now = 0;  // the log's time: the largest time of a record so far, imports of the past left out
  Catalogue catalogue;
  PersistentMap<Profile> customers;
  Population population;
  ItemDemand demand;
  PersistentMap<TableState> tables;
  PersistentMap<std::shared_ptr<const PlacementState>> placements;
  PersistentMap<std::shared_ptr<const PolicyState>> policies;
  PersistentMap<std::shared_ptr<const ReleaseHistory>> releases;  // by placement
  PersistentMap<LiveGuard> guards;                                // by placement that asks for one
  PersistentMap<ExaminationSums> examinations;                    // by placement that estimates it
  Counters counters;
  int64_t num_open = 0;  // decisions whose rewards may still change

  const PlacementState* FindPlacement(absl::string_view name) const {
    const auto* found = placements.Find(name);
    return found == nullptr ? nullptr : found->get();
  }
  const PolicyState* FindPolicy(absl::string_view name) const {
    const auto* found = policies.Find(name);
    return found == nullptr ? nullptr : found->get();
  }
};

}  // namespace offerd
