#pragma once
#include <functional>
#include <string>
#include <vector>

#include "cli/evaluate/evaluate.h"

namespace offerd::evaluate {

struct TuneOptions {
  Metric metric = kMrr;
  size_t cutoff = 20;
  double budget_seconds = 300;
  int64_t trials = 100;  // of each method at most
  uint64_t seed = 1;
  size_t min_prefix = 1;
  uint64_t memory_bytes = 0;
  std::function<void(const std::string& line)> progress;  // may be empty
};

// A setting of a method and what it reached on all cases of the validation data.
struct Trial {
  MethodSpec spec;
  double value = 0;
  std::optional<std::pair<double, double>> interval;
  int64_t cases = 0;
};

struct MethodTuning {
  Trial start;          // the method's defaults, or as it was given
  Trial best;           // never worse than `start`
  int64_t trials = 0;
  double seconds = 0;
  bool is_cut_short = false;  // by the budget: another machine would try more or less
  absl::Status status;        // not OK: it could not be built
};

// Searches each method's parameters for the best value of one metric on data.test, which is the validation data here.
//
// Half of the trials are drawn at random and go through successive halving (Jamieson, Talwalkar, AISTATS 2016): all are measured
// on a ninth of the cases, the best third on a third, the best ninth on all. The other half look around the best so far, on all cases.
// With few cases every trial is measured on all. The budget is shared between methods; what one leaves goes to the others.
//
// Threads  The same result for any number of threads and the same seed, unless the budget cuts it short.
std::vector<MethodTuning> Tune(const Dataset& data, const std::vector<MethodSpec>& methods, const TuneOptions& options, const Workers& workers);

}  // namespace offerd::evaluate
