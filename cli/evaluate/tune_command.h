#pragma once
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/evaluate/command.h"
#include "cli/evaluate/tune.h"

namespace offerd::evaluate {

struct TuneArguments {
  // As of `offerctl evaluate`; test: validation sessions of their own; test_from: the end of what may be seen; empty: all of it.
  Arguments data;
  double valid_share = 0.1;  // of sessions or baskets, the last in order of time, where there is no validation file
  std::string metric;        // empty: mrr for sessions, hit_rate for leave-one-out, recall for next-basket
  int64_t cutoff = 20;
  double budget_seconds = 300;
  int64_t trials = 100;
  uint64_t seed = 1;
  std::string output;        // file; empty: none
};

struct TunePlan {
  Plan data;
  double valid_share = 0;
  TuneOptions options;
  std::string output;
};

// Errors: InvalidArgument says which argument is wrong. No file is read.
absl::StatusOr<TunePlan> MakeTunePlan(const TuneArguments& arguments);

// Reads, searches, prints, writes the config: {"kind":..,"parameters":{..},"warnings":[..],"tuned":{..}}. It names the best method that
// is a table, so that `offerctl build` takes it; tuned.winner is the best of all, which may be none.
//
// Errors  FailedPrecondition where no method could be built, or none that is a table and a file is wanted: nothing is written.
absl::Status RunTune(const TunePlan& plan, const Output& output);

}  // namespace offerd::evaluate
