#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/types/span.h"

namespace offerd::evaluate {

enum Metric { kHitRate, kMrr, kNdcg, kRecall, kPrecision, kMap, kPopularity, kNumMetrics };
inline constexpr const char* kMetricNames[kNumMetrics] = {"hit_rate", "mrr", "ndcg", "recall", "precision", "map", "popularity"};

// The figures of one case at one cut-off.
struct CaseScores {
  double values[kNumMetrics] = {};
};

// Sums over cases that come in clusters, from which means and their intervals follow.
//
// Source  Cochran, Sampling Techniques, 3rd ed., section 9A: mean = S / N with variance C / (C - 1) x sum over the C clusters of
//         (s_c - mean n_c)^2 / N^2, as in cli/cluster_mean.h; here from sums, so that millions of cases take no memory.
class MetricSums {
 public:
  explicit MetricSums(size_t num_cutoffs);

  void AddCase(absl::Span<const CaseScores> by_cutoff);
  void EndCluster();                    // no cases since the last one: nothing happens
  void Merge(const MetricSums& other);  // of other clusters

  int64_t num_cases() const { return cases_; }
  int64_t num_clusters() const { return clusters_; }
  double Mean(size_t cutoff, Metric metric) const;  // 0 without cases
  // 95 %, cut to [0, 1]. Nothing with fewer than two clusters.
  std::optional<std::pair<double, double>> Interval(size_t cutoff, Metric metric) const;

 private:
  struct Sums {
    double open = 0;         // of the cluster that has not ended
    double total = 0;        // s
    double squares = 0;      // s^2
    double with_cases = 0;   // s n
  };

  std::vector<Sums> sums_;  // [cutoff][metric]
  int64_t open_cases_ = 0;
  int64_t cases_ = 0;
  int64_t clusters_ = 0;
  double squared_cases_ = 0;  // n^2
};

}  // namespace offerd::evaluate
