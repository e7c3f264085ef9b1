#pragma once
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/learn/state.h"
#include "core/types.h"
#include "offerd/v1/stored.pb.h"
#include "store/store.h"

namespace offerd {

// What a slot of a closed decision has earned: by the placement's reward, and in money of the covered lines, major units.
struct SlotValues {
  double reward = 0;
  double revenue = 0;
  double margin = 0;
};

// Hears of the decisions of one placement, as WalkDecisions meets them.
class DecisionVisitor {
 public:
  virtual ~DecisionVisitor() = default;
  // In log order. False: of no interest, and not heard of again.
  virtual bool Begin(const v1::stored::LogRecord& decision) = 0;
  // Its window and lateness are over. In the order in which they ended.
  virtual void End(Sequence decision, absl::Span<const SlotValues> slots) = 0;
};

struct HistoryRange {
  std::string placement;
  TimeMicros from = INT64_MIN;  // of decisions, both included
  TimeMicros to = INT64_MAX;
  Sequence after = 0;           // only decisions behind this record
  bool with_money = false;      // also revenue and margin, for three times the work
};

struct HistoryCounts {
  int64_t open = 0;   // of the decisions that the visitor wanted: their window is not over
  int64_t early = 0;  // and closed early for lack of room: left out
};

// Walks the kept log once and joins every decision with its rewards by the very code that learns (core/learn/fold.h), under the
// rewards and windows that the placements have in `state`, and with its catalogue. Customers are not needed, so a log from which
// people were erased works as well.
//
// Threads  Beside the writer; `state` is a version that nobody changes.
// Errors   NotFound: no such placement. DataLoss from the log.
// Cost     One pass over the kept log behind `after` and `from`; memory of the decisions whose windows are open.
absl::StatusOr<HistoryCounts> WalkDecisions(const Store& store, const State& state, const HistoryRange& range, DecisionVisitor& visitor);

}  // namespace offerd
