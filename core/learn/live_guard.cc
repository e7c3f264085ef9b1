#include "core/learn/live_guard.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace offerd {
namespace {

constexpr double kShown = 0.05;   // of the bounds that are shown, two-sided
constexpr double kFirst = 0.02;   // of the sequence that begins with the guard, one-sided
constexpr double kLater = 0.03;   // of all others together

void Join(const LiveGuard::Block& from, LiveGuard::Block& to) {
  to.count += from.count;
  to.sum += from.sum;
  to.squares += from.squares;
}

// Half the width of a confidence sequence in standard deviations after t decisions; alpha of both sides together.
double HalfWidth(double t, double alpha) {
  const double least = -2 * std::log(kShown);
  const double rho_squared = (least + std::log(least) + 1) / LiveGuard::kTightest;
  const double grown = t * rho_squared + 1;
  return std::sqrt(2 * grown / (t * t * rho_squared) * std::log(std::sqrt(grown) / alpha));
}

struct Bounds {
  double mean = 0, lower = 0, upper = 0;
};

Bounds BoundsOf(const LiveGuard::Block& sums, double alpha) {
  const double t = static_cast<double>(sums.count);
  const double mean = sums.sum / t;
  const double variance = std::max(0.0, sums.squares / t - mean * mean);
  const double half = std::sqrt(variance) * HalfWidth(t, alpha);
  return {mean, mean - half, mean + half};
}

}  // namespace

void LiveGuard::Add(absl::Span<const double> weights, absl::Span<const double> rewards) {
  const double usual = baseline_.mean();
  double gain = 0, earned = 0;
  for (size_t l = 0; l < rewards.size(); ++l) {
    gain += (1 - weights[l]) * (rewards[l] - usual);
    earned += rewards[l];
  }
  if (!std::isfinite(gain * gain) || !std::isfinite(baseline_.sum + earned)) return;
  baseline_.slots += static_cast<int64_t>(rewards.size());
  baseline_.sum += earned;
  if (blocks_.empty() || blocks_.back().count >= kBlockSize) {
    blocks_.emplace_back();
    ++begun_;
  }
  Block& last = blocks_.back();
  ++last.count;
  last.sum += gain;
  last.squares += gain * gain;
  if (blocks_.size() <= kMaxBlocks) return;
  Block first = blocks_.front();
  blocks_.pop_front();
  Join(first, blocks_.front());
}

LiveGuard::Verdict LiveGuard::Judge(double floor) const {
  Verdict verdict;
  Block sums;
  for (size_t back = 0; back < blocks_.size(); ++back) {
    const size_t at = blocks_.size() - 1 - back;
    Join(blocks_[at], sums);
    if (sums.count < kLeast) continue;
    const double start = at == 0 ? 0 : static_cast<double>(begun_ - 1 - static_cast<int64_t>(back));  // which block it began with
    const double alpha = start == 0 ? kFirst : kLater / (start * (start + 1));
    if (sums.squares > 0 && BoundsOf(sums, 2 * alpha).upper < floor) verdict.is_below = true;
  }
  verdict.decisions = sums.count;
  if (sums.count < kLeast) return verdict;
  const Bounds all = BoundsOf(sums, kShown);
  verdict.is_known = true;
  verdict.gain = all.mean;
  verdict.lower_bound = all.lower;
  verdict.upper_bound = all.upper;
  return verdict;
}

LiveGuard LiveGuard::FromParts(std::deque<Block> blocks, int64_t begun, Baseline baseline) {
  LiveGuard guard;
  guard.blocks_ = std::move(blocks);
  guard.begun_ = begun;
  guard.baseline_ = baseline;
  return guard;
}

}  // namespace offerd
