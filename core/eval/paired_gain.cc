#include "core/eval/paired_gain.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"

namespace offerd {
namespace {

constexpr double kQuarterAlpha = 0.05;
constexpr double kPi = 3.14159265358979323846;

// Columns: decisions, live reward and the same negated (a ratio's numerator), candidate reward by ips, weight of the whole slate; then for
// each slot weighted reward, and weight, a decision without the slot counting 1.
enum Column : int { kDecisions, kLive, kMinusLive, kCandidate, kWeight, kNumColumns };

}  // namespace

PairedGain::PairedGain(int slots, bool snips) : slots_(slots), snips_(snips), sums_(kNumColumns + (snips ? 2 * slots : 0)) {}

void PairedGain::Add(absl::Span<const double> weights, absl::Span<const double> rewards, std::optional<uint64_t> cluster) {
  double* sums = cluster.has_value() ? sums_.Of(*cluster) : sums_.Next();
  sums[kDecisions] += 1;
  for (size_t l = 0; l < rewards.size(); ++l) {
    sums[kLive] += rewards[l];
    sums[kMinusLive] -= rewards[l];
    sums[kCandidate] += weights[l] * rewards[l];
    lowest_reward_ = std::min(lowest_reward_, rewards[l]);
  }
  for (size_t l = 0; snips_ && l < static_cast<size_t>(slots_); ++l) {
    double* of_slot = sums + kNumColumns + 2 * l;
    if (l < rewards.size()) of_slot[0] += weights[l] * rewards[l];
    of_slot[1] += l < rewards.size() ? weights[l] : 1;
  }
  const double weight = weights.empty() ? 1 : weights.back();
  sums[kWeight] += weight;
  weights_.Add(weight);
  ++decisions_;
}

std::vector<ColumnRatio> PairedGain::CandidateRatios() const {
  if (!snips_) return {{kCandidate, kDecisions}};
  std::vector<ColumnRatio> ratios;
  for (int l = 0; l < slots_; ++l) ratios.push_back({kNumColumns + 2 * l, kNumColumns + 2 * l + 1});
  return ratios;
}

std::optional<PairedGain::Estimate> PairedGain::Get() const {
  if (sums_.size() < 2) return std::nullopt;
  Estimate estimate;
  const std::vector<double> totals = sums_.Totals();
  const std::vector<ColumnRatio> candidate = CandidateRatios();
  const std::vector<ColumnRatio> live = {{kLive, kDecisions}};
  std::vector<ColumnRatio> gain = candidate;
  gain.push_back({kMinusLive, kDecisions});
  estimate.gain = SumOfRatios(totals, gain);
  if (!std::isfinite(estimate.gain)) return std::nullopt;
  estimate.standard_error = std::sqrt(InfluenceVariance(sums_, totals, gain));
  estimate.candidate_reward = SumOfRatios(totals, candidate);
  estimate.candidate_error = std::sqrt(InfluenceVariance(sums_, totals, candidate));
  estimate.live_reward = SumOfRatios(totals, live);
  estimate.live_error = std::sqrt(InfluenceVariance(sums_, totals, live));
  const std::vector<ColumnRatio> weight = {{kWeight, kDecisions}};
  estimate.mean_weight = SumOfRatios(totals, weight);
  estimate.mean_weight_error = std::sqrt(InfluenceVariance(sums_, totals, weight));
  estimate.lowest_reward = lowest_reward_;
  estimate.effective_samples = weights_.effective_samples();
  estimate.decisions = decisions_;
  estimate.clusters = static_cast<int64_t>(sums_.size());
  return estimate;
}

double AlphaOfAttempt(int attempt) { return kQuarterAlpha * 6 / (kPi * kPi * attempt * attempt); }

double UpperNormalQuantile(double alpha) {
  double low = 0, high = 40;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (0.5 * std::erfc(middle / std::sqrt(2.0)) > alpha ? low : high) = middle;
  }
  return (low + high) / 2;
}

int64_t QuarterOf(int64_t micros) {
  const absl::CivilMonth month = absl::ToCivilMonth(absl::FromUnixMicros(micros), absl::UTCTimeZone());
  return month.year() * 4 + (month.month() - 1) / 3;
}

}  // namespace offerd
