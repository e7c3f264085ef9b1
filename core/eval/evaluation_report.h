#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/eval/estimator.h"

namespace offerd {

struct Interval {
  double lo = 0;
  double hi = 0;
};

struct Estimate {
  std::string estimator;  // as asked for
  double value = 0;
  std::optional<double> standard_error;  // as the interval: absent with fewer than two clusters
  std::optional<Interval> interval;
  double effective_samples = 0;
  int64_t rows = 0;
  std::vector<std::string> warnings;  // nothing where nothing is wrong
};

// What can be said of a log and a target policy whatever the estimator. Weights are those of rows (marginal
// probabilities) or of whole lists (conditional ones), but for mean_weight, which is that of rows.
struct LogDiagnostics {
  int64_t rows = 0;
  int64_t decisions = 0;
  int64_t clusters = 0;
  double effective_samples = 0;  // (sum w)^2 / sum w^2
  double largest_weight = 0;
  double largest_weights_share = 0;  // of all weight, carried by the largest hundredth of the weights
  double tail_share = 0;             // the same for the largest hundredth of the effective samples, at least one
  // 1 in expectation if the propensities are those of the draw and the log could show all that the target would.
  double mean_weight = 0;
  double mean_weight_error = 0;  // its standard error
  double unsupported_mass = 0;   // max(0, 1 - mean_weight): of the target's probability, not to be seen in the log
  double lowest_propensity = 0;
  double highest_propensity = 0;
  double mean_reward = 0;
  // With a reward model and marginal probabilities. (With conditional ones q is about a position and all below it under
  // the target policy, which no logged reward can be compared with.)
  struct Calibration {
    double mean_q_logged = 0;      // mean_reward if the model is calibrated on the log
    double weighted_residual = 0;  // sum w (r - q) / sum w: 0 if it is where the target policy goes
    double weighted_residual_error = 0;
  };
  std::optional<Calibration> calibration;
};

struct EvaluationReport {
  std::vector<Estimate> estimates;
  LogDiagnostics diagnostics;
};

// What is wrong for this estimator, each sentence with its number:
// - fewer than 100 effective samples, always;
// - fewer than 50 clusters: the interval is not to be relied on;
// - the largest hundredth of the weights carries over 20 % of all weight, and this is a tail and not the plain
//   consequence of a target that seldom agrees with the log: the largest hundredth of the effective samples carries
//   over 5 %;
// - mean_weight is further than four standard errors from 1;
// - a model that the estimator leans on is off by over four standard errors where the target policy goes;
// - replay of a log with unequal propensities.
std::vector<std::string> WarningsFor(const Estimator& estimator, const LogDiagnostics& log, double effective_samples);

}  // namespace offerd
