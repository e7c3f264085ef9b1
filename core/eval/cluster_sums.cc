#include "core/eval/cluster_sums.h"

#include <algorithm>
#include <limits>

#include "core/check.h"

namespace offerd {

size_t ClusterSums::Append() {
  const size_t cluster = size();
  sums_.resize(sums_.size() + static_cast<size_t>(width_), 0);
  return cluster;
}

double* ClusterSums::Next() { return At(size() < kMaxClusters ? Append() : turn_++ % kMaxClusters); }

double* ClusterSums::Of(uint64_t key) {
  const auto found = cluster_of_key_.find(key);
  if (found != cluster_of_key_.end()) return At(found->second);
  if (size() >= kMaxClusters) return At(key % kMaxClusters);  // a key always joins the same cluster
  const size_t cluster = Append();
  cluster_of_key_.emplace(key, static_cast<uint32_t>(cluster));
  return At(cluster);
}

void ClusterSums::Widen(int width) {
  DCHECK(width >= width_);
  std::vector<double> wider(size() * static_cast<size_t>(width), 0);
  for (size_t cluster = 0; cluster < size(); ++cluster) {
    std::copy_n(At(cluster), width_, wider.data() + cluster * static_cast<size_t>(width));
  }
  sums_ = std::move(wider);
  width_ = width;
}

std::vector<double> ClusterSums::Totals() const {
  std::vector<double> totals(static_cast<size_t>(width_), 0);
  for (size_t cluster = 0; cluster < size(); ++cluster) {
    const absl::Span<const double> sums = (*this)[cluster];
    for (size_t column = 0; column < totals.size(); ++column) totals[column] += sums[column];
  }
  return totals;
}

double SumOfRatios(absl::Span<const double> totals, absl::Span<const ColumnRatio> ratios) {
  double value = 0;
  for (const ColumnRatio& ratio : ratios) {
    const double denominator = totals[static_cast<size_t>(ratio.denominator)];
    if (denominator == 0) return std::numeric_limits<double>::quiet_NaN();
    value += totals[static_cast<size_t>(ratio.numerator)] / denominator;
  }
  return value;
}

double InfluenceVariance(const ClusterSums& sums, absl::Span<const double> totals,
                         absl::Span<const ColumnRatio> ratios) {
  std::vector<double> coefficients(totals.size(), 0);  // of a cluster's sums in its influence
  for (const ColumnRatio& ratio : ratios) {
    const double numerator = totals[static_cast<size_t>(ratio.numerator)];
    const double denominator = totals[static_cast<size_t>(ratio.denominator)];
    coefficients[static_cast<size_t>(ratio.numerator)] += 1 / denominator;
    coefficients[static_cast<size_t>(ratio.denominator)] -= numerator / denominator / denominator;
  }
  double squares = 0;
  for (size_t cluster = 0; cluster < sums.size(); ++cluster) {
    const absl::Span<const double> row = sums[cluster];
    double influence = 0;
    for (size_t column = 0; column < row.size(); ++column) influence += coefficients[column] * row[column];
    squares += influence * influence;
  }
  const auto clusters = static_cast<double>(sums.size());
  return squares * clusters / (clusters - 1);
}

}  // namespace offerd
