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

  int Draw(uint32_t bits) const {
    int k = 0;
    while (k < static_cast<int>(cumulative_.size()) && bits >= cumulative_[static_cast<size_t>(k)]) ++k;
    return k;
  }

 private:
  std::array<uint32_t, 12> cumulative_;
};

void AddTimes(int times, absl::Span<const double> row, std::vector<double>& totals) {
  if (times == 0) return;
  const double factor = times;
  for (size_t column = 0; column < row.size(); ++column) totals[column] += factor * row[column];
}

double Quantile(const std::vector<double>& sorted, double share) {
  const double rank = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(rank);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (rank - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

std::vector<std::vector<double>> BootstrapTotals(const ClusterSums& sums, const BootstrapOptions& options) {
  const PoissonOne poisson;
  const auto replicates = static_cast<size_t>(options.replicates);
  std::vector<std::vector<double>> totals(replicates, std::vector<double>(static_cast<size_t>(sums.width()), 0));
  for (size_t begin = 0; begin < sums.size(); begin += kBlock) {
    const size_t end = std::min(begin + kBlock, sums.size());
    for (size_t replicate = 0; replicate < replicates; ++replicate) {
      Rng rng(MixHash(MixHash(options.seed, replicate), begin));
      for (size_t cluster = begin; cluster < end; cluster += 2) {
        const uint64_t bits = rng.NextBits();
        AddTimes(poisson.Draw(static_cast<uint32_t>(bits)), sums[cluster], totals[replicate]);
        if (cluster + 1 < end) AddTimes(poisson.Draw(static_cast<uint32_t>(bits >> 32)), sums[cluster + 1], totals[replicate]);
      }
    }
  }
  return totals;
}

std::pair<double, double> PercentileInterval95(const std::vector<std::vector<double>>& totals,
                                               absl::Span<const ColumnRatio> ratios) {
  std::vector<double> values;
  values.reserve(totals.size());
  for (const std::vector<double>& replicate : totals) {
    const double value = SumOfRatios(replicate, ratios);
    if (!std::isnan(value)) values.push_back(value);
  }
  if (values.empty()) return {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN()};
  std::sort(values.begin(), values.end());
  return {Quantile(values, 0.025), Quantile(values, 0.975)};
}

}  // namespace offerd
