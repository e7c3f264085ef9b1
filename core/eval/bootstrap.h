#pragma once
#include <cstdint>
#include <utility>

#include <Eigen/Core>

#include "core/eval/cluster_sums.h"

namespace offerd {

struct BootstrapOptions {
  int replicates = 2000;
  uint64_t seed = 20240601;
};

// Totals of every column in resamples of the clusters: each cluster counts k times, k drawn from Poisson(1) by a stream
// of its own for each replicate and block of clusters. So a replicate needs no more memory than its totals, and all
// estimators see the same resamples.
//
// Source   Chamandy, Muralidharan, Najmi, Naidu, Google 2012, "Estimating Uncertainty for Massive Data Streams".
//          Differs: over the clusters of ClusterSums, of which there is a limited number.
// Returns  one column of sums.width() totals for each replicate.
// Cost     O(replicates x clusters x width).
Eigen::MatrixXd BootstrapTotals(const ClusterSums& sums, const BootstrapOptions& options);

// The two ends of the middle 95 % of the estimate over the resamples (percentile method, Efron 1979; quantiles
// interpolated linearly). Resamples in which a denominator is 0 are left out; NaN where none is left.
std::pair<double, double> PercentileInterval95(const Eigen::MatrixXd& totals,
                                               absl::Span<const ColumnRatio> ratios);

}  // namespace offerd
