#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "absl/strings/string_view.h"

namespace offerd::cli {

struct Interval {
  double mean = 0;
  double lo = 0;
  double hi = 0;
};

// Mean of values that belong to clusters (the visits of one customer) with a 95 % interval that allows for dependence within
// them: the ratio estimator, mean = S / N with variance C / (C - 1) x sum over clusters of (s_c - mean n_c)^2 / N^2.
//
// Source  Cochran, Sampling Techniques, 3rd ed., section 9A (clusters of unequal size).
class ClusterMean {
 public:
  void Add(const std::string& cluster, double value);

  int64_t count() const { return count_; }
  double mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }
  // Nothing with fewer than two clusters: there is no interval then.
  std::optional<Interval> Interval95() const;

 private:
  struct Cluster {
    double sum = 0;
    int64_t count = 0;
  };
  std::unordered_map<std::string, Cluster> clusters_;
  double sum_ = 0;
  int64_t count_ = 0;
};

}  // namespace offerd::cli
