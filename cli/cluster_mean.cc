#include "cli/cluster_mean.h"

#include <cmath>

namespace offerd::cli {

void ClusterMean::Add(const std::string& cluster, double value) {
  Cluster& entry = clusters_[cluster];
  entry.sum += value;
  ++entry.count;
  sum_ += value;
  ++count_;
}

std::optional<Interval> ClusterMean::Interval95() const {
  if (clusters_.size() < 2) return std::nullopt;
  const double center = mean();
  double squares = 0;
  for (const auto& [unused, cluster] : clusters_) {
    const double residual = cluster.sum - center * static_cast<double>(cluster.count);
    squares += residual * residual;
  }
  const auto clusters = static_cast<double>(clusters_.size());
  const double deviation = std::sqrt(squares * clusters / (clusters - 1)) / static_cast<double>(count_);
  const double half = 1.959963984540054 * deviation;
  return Interval{center, center - half, center + half};
}

}  // namespace offerd::cli
