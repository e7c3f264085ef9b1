#include "core/eval/bootstrap.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/hash.h"
#include "core/rng.h"

namespace offerd {
namespace {

constexpr size_t kBlock = 1024;  // clusters whose sums stay in the cache while all replicates use them

// Poisson(1) from 32 uniform bits: how many of its cumulative probabilities lie at or below them.
class PoissonOne {
 public:
  PoissonOne() {
    double probability = std::exp(-1.0);
    double cumulative = 0;
    for (size_t k = 0; k < cumulative_.size(); ++k) {
      cumulative += probability;
      cumulative_[k] = static_cast<uint32_t>(std::min(cumulative * 0x1p32, 0x1p32 - 1));
      probability /= static_cast<double>(k + 1);
    }
  }

  double Draw(uint32_t bits) const {
    // 98 in 100 draws are at most 3; adding up comparisons is faster than guessing which.
    int k = (bits >= cumulative_[0]) + (bits >= cumulative_[1]) + (bits >= cumulative_[2]) + (bits >= cumulative_[3]);
    if (k < 4) return k;
    while (k < static_cast<int>(cumulative_.size()) && bits >= cumulative_[static_cast<size_t>(k)]) ++k;
    return k;
  }

 private:
  std::array<uint32_t, 12> cumulative_;
};

double Quantile(const std::vector<double>& sorted, double share) {
  const double rank = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(rank);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (rank - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Eigen::MatrixXd BootstrapTotals(const ClusterSums& sums, const BootstrapOptions& options) {
  const PoissonOne poisson;
  Eigen::MatrixXd totals = Eigen::MatrixXd::Zero(sums.width(), options.replicates);
  const auto row = [&sums](size_t cluster) { return Eigen::Map<const Eigen::VectorXd>(sums[cluster].data(), sums.width()); };
  for (size_t begin = 0; begin < sums.size(); begin += kBlock) {
    const size_t end = std::min(begin + kBlock, sums.size());
    for (int replicate = 0; replicate < options.replicates; ++replicate) {
      Rng rng(MixHash(MixHash(options.seed, static_cast<uint64_t>(replicate)), begin));
      for (size_t cluster = begin; cluster < end; cluster += 2) {
        const uint64_t bits = rng.NextBits();
        totals.col(replicate) += poisson.Draw(static_cast<uint32_t>(bits)) * row(cluster);
        if (cluster + 1 < end) totals.col(replicate) += poisson.Draw(static_cast<uint32_t>(bits >> 32)) * row(cluster + 1);
      }
    }
  }
  return totals;
}

std::pair<double, double> PercentileInterval95(const Eigen::MatrixXd& totals,
                                               absl::Span<const ColumnRatio> ratios) {
  std::vector<double> values;
  values.reserve(static_cast<size_t>(totals.cols()));
  for (Eigen::Index replicate = 0; replicate < totals.cols(); ++replicate) {
    const double value = SumOfRatios({totals.col(replicate).data(), static_cast<size_t>(totals.rows())}, ratios);
    if (!std::isnan(value)) values.push_back(value);
  }
  if (values.empty()) return {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN()};
  std::sort(values.begin(), values.end());
  return {Quantile(values, 0.025), Quantile(values, 0.975)};
}

}  // namespace offerd
