#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/learn/fold.h"
#include "store/store.h"

namespace offerd {

struct Recovery {
  std::unique_ptr<Fold> fold;  // after the last record of the log
  Sequence base = 0;           // where the replay began; 0 = the beginning of the log
  int64_t replayed = 0;
  std::vector<std::string> set_aside;  // damaged bases that were passed over, a line each
};

// Newest sound base, then the rest of the log. A damaged base is set aside and the one before it used. `visit` sees
// every replayed record before it is applied. DataLoss when no sound base reaches down to the kept log, or the log
// itself is damaged: nothing wrong is loaded silently.
// `tables` finds the bytes of published tables (fold.h).
absl::StatusOr<Recovery> Recover(Store& store, const std::function<void(const v1::stored::LogRecord&)>& visit = nullptr,
                                 const TableSource& tables = nullptr);

struct ReplayReport {
  Sequence base = 0;
  Sequence last = 0;
  int64_t records = 0;
  int64_t decisions = 0;     // recomputed and compared
  int64_t skipped = 0;       // read a state before the base, or had a person erased
  int64_t publications = 0;  // made again and compared
  int64_t differences = 0;
  std::vector<std::string> examples;                       // at most 20, a line each
  std::vector<std::pair<std::string, uint64_t>> policies;  // name and checksum of what it learned, at the end
  uint64_t state_digest = 0;
};

// Recomputes every recorded decision from the state that its request read, and compares it byte for byte; makes every
// publication again; and compares the state with every sound base on the way. Starts from the oldest sound base.
absl::StatusOr<ReplayReport> Replay(Store& store,
                                    const std::function<void(Sequence)>& progress = nullptr,
                                    const TableSource& tables = nullptr);

// A checksum of what a policy has learned: sums, counts and the clock they are kept by.
uint64_t LearningChecksum(const PolicyLearning& learning);

}  // namespace offerd
