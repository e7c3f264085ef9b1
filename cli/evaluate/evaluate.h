#pragma once
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/evaluate/dataset.h"
#include "cli/evaluate/method.h"
#include "cli/evaluate/metric_sums.h"
#include "cli/evaluate/parallel.h"

namespace offerd::evaluate {

struct EvaluateOptions {
  std::vector<size_t> cutoffs = {20};  // k, each at least 1
  size_t min_prefix = 1;               // sessions: clicks before the first prediction
  uint64_t memory_bytes = 0;           // for a method's build; 0 = no limit
  size_t one_of = 1;                   // test only the first of every so many chunks of 64 rows
  std::function<void(double share)> progress;  // may be empty; called on one thread at a time
};

// What one method did.
struct MethodResult {
  MethodSpec spec;
  absl::Status status;            // not OK: it could not be built, and the rest is empty
  MetricSums sums = MetricSums(0);
  int64_t queries = 0;            // lists that were asked for
  std::vector<double> coverage;   // by cut-off: share of the training items that were recommended
  double build_seconds = 0;
  double query_p50_us = 0;        // of single queries, each on one of the threads that run at the same time
  double query_p90_us = 0;
  uint64_t peak_bytes = 0;        // most resident memory of the process while it was built and asked, data included; 0 = not known
};

// Trains a method and asks it for every case of the test. The same figures for any number of threads, times apart.
MethodResult EvaluateMethod(const Dataset& data, const MethodSpec& spec, const EvaluateOptions& options, const Workers& workers);

}  // namespace offerd::evaluate
