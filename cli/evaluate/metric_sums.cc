#include "cli/evaluate/metric_sums.h"

#include <algorithm>
#include <cmath>

namespace offerd::evaluate {

MetricSums::MetricSums(size_t num_cutoffs) : sums_(num_cutoffs * kNumMetrics) {}

void MetricSums::AddCase(absl::Span<const CaseScores> by_cutoff) {
  ++open_cases_;
  for (size_t cutoff = 0; cutoff < by_cutoff.size(); ++cutoff) {
    for (size_t metric = 0; metric < kNumMetrics; ++metric) sums_[cutoff * kNumMetrics + metric].open += by_cutoff[cutoff].values[metric];
  }
}

void MetricSums::EndCluster() {
  if (open_cases_ == 0) return;
  const auto cases = static_cast<double>(open_cases_);
  for (Sums& sums : sums_) {
    sums.total += sums.open;
    sums.squares += sums.open * sums.open;
    sums.with_cases += sums.open * cases;
    sums.open = 0;
  }
  squared_cases_ += cases * cases;
  cases_ += open_cases_;
  ++clusters_;
  open_cases_ = 0;
}

void MetricSums::Merge(const MetricSums& other) {
  for (size_t i = 0; i < sums_.size(); ++i) {
    sums_[i].total += other.sums_[i].total;
    sums_[i].squares += other.sums_[i].squares;
    sums_[i].with_cases += other.sums_[i].with_cases;
  }
  squared_cases_ += other.squared_cases_;
  cases_ += other.cases_;
  clusters_ += other.clusters_;
}

double MetricSums::Mean(size_t cutoff, Metric metric) const {
  return cases_ == 0 ? 0 : sums_[cutoff * kNumMetrics + metric].total / static_cast<double>(cases_);
}

std::optional<std::pair<double, double>> MetricSums::Interval(size_t cutoff, Metric metric) const {
  if (clusters_ < 2) return std::nullopt;
  const Sums& sums = sums_[cutoff * kNumMetrics + metric];
  const double mean = Mean(cutoff, metric);
  const double residual = std::max(0.0, sums.squares - 2 * mean * sums.with_cases + mean * mean * squared_cases_);
  const auto clusters = static_cast<double>(clusters_);
  const double half = 1.959963984540054 * std::sqrt(residual * clusters / (clusters - 1)) / static_cast<double>(cases_);
  return std::make_pair(std::max(0.0, mean - half), std::min(1.0, mean + half));
}

}  // namespace offerd::evaluate
