#pragma once
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <utility>
#include <vector>

#include "core/slate/slate.h"

namespace offerd {

// The slow twin of SlotDistribution: sorts everything anew, keeps nothing. Returns {probability, explorer_probability}.
inline std::pair<std::vector<double>, std::vector<double>> ReferenceSlotDistribution(
    const SlateInput& input, int slot, const std::vector<uint8_t>& placed) {
  const int n = input.num_candidates;
  std::vector<double> total(n, 0.0), explorer(n, 0.0);
  std::vector<int> open;
  for (int i = 0; i < n; ++i) {
    if ((input.allowed.empty() || input.allowed[i] != 0) && placed[i] == 0) open.push_back(i);
  }
  if (open.empty()) return {total, explorer};
  const auto clean = [](double score) { return std::isnan(score) ? -std::numeric_limits<double>::infinity() : score; };
  const auto best = [&](auto score) {
    return *std::min_element(open.begin(), open.end(), [&](int a, int b) {
      return std::pair(-clean(score(a)), input.tie_rank[a]) < std::pair(-clean(score(b)), input.tie_rank[b]);
    });
  };
  std::vector<int> base(n);
  if (input.base_rank.empty()) {
    std::vector<int> order(n);
    for (int i = 0; i < n; ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](int a, int b) {
      return std::pair(-clean(input.mean[a]), input.tie_rank[a]) < std::pair(-clean(input.mean[b]), input.tie_rank[b]);
    });
    for (int i = 0; i < n; ++i) base[order[i]] = i;
  } else {
    base.assign(input.base_rank.begin(), input.base_rank.end());
  }
  const bool bounded = input.random.kind == RandomKind::kBounded;
  if (input.forced_shuffle && bounded) {
    const int first = *std::min_element(open.begin(), open.end(), [&](int a, int b) { return base[a] < base[b]; });
    if (base[first] <= slot - input.random.reach) {
      total[first] = explorer[first] = 1;
      return {total, explorer};
    }
  }
  const double epsilon = input.explorer.kind == ExplorerKind::kGreedy ? 0 : input.explorer.epsilon;
  const auto score = [&](int i) {
    const bool by_bound = input.explorer.kind == ExplorerKind::kUpperBound && !input.upper_bound.empty();
    return clean(by_bound ? input.upper_bound[i] : input.mean[i]);
  };
  const double strength = input.explorer.strength;
  const int members = input.bag_scores == nullptr ? 0 : static_cast<int>(input.bag_scores->cols()) - 1;
  if (input.explorer.kind == ExplorerKind::kThompson && members > 0) {
    for (int m = 1; m <= members; ++m)
      explorer[best([&](int i) { return (*input.bag_scores)(i, m); })] += (1 - epsilon) / members;
  } else if (const int top = best(score); input.explorer.kind == ExplorerKind::kSoftmax && strength > 0 && std::isfinite(score(top))) {
    double sum = 0;
    for (int i : open) sum += std::exp((score(i) - score(top)) / strength);
    for (int i : open) explorer[i] = (1 - epsilon) * std::exp((score(i) - score(top)) / strength) / sum;
  } else if (input.explorer.kind == ExplorerKind::kInverseGap && std::isfinite(score(top))) {
    double rest = 1;
    for (int i : open) {
      if (i != top && std::isfinite(score(i))) rest -= explorer[i] = 1 / (static_cast<double>(open.size()) + strength * (score(top) - score(i)));
    }
    explorer[top] = rest;
    for (int i : open) explorer[i] *= 1 - epsilon;
  } else if (input.explorer.kind == ExplorerKind::kBoundedShuffle) {
    std::vector<int> own(n), order(n);
    for (int i = 0; i < n; ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](int a, int b) {
      return std::pair(-clean(input.mean[a]), input.tie_rank[a]) < std::pair(-clean(input.mean[b]), input.tie_rank[b]);
    });
    for (int i = 0; i < n; ++i) own[order[i]] = i;
    std::vector<int> near;
    for (int i : open) {
      if (own[i] <= slot - input.explorer.reach && (near.empty() || own[i] < own[near[0]])) near.assign(1, i);
    }
    for (int distance = input.explorer.reach; near.empty(); ++distance) {
      for (int i : open) {
        if (std::abs(own[i] - slot) <= distance) near.push_back(i);
      }
    }
    for (int i : near) explorer[i] += (1 - epsilon) / static_cast<double>(near.size());
  } else {
    explorer[top] += 1 - epsilon;
  }
  for (int i : open) explorer[i] += epsilon / static_cast<double>(open.size());
  std::vector<int> within;
  if (bounded) {
    for (int distance = input.random.reach; within.empty(); ++distance) {
      for (int i : open) {
        if (std::abs(base[i] - slot) <= distance) within.push_back(i);
      }
    }
  } else {
    within = open;
  }
  for (int i = 0; i < n; ++i) total[i] = (1 - input.random.share) * explorer[i];
  for (int i : within) total[i] += input.random.share / static_cast<double>(within.size());
  return {total, explorer};
}

// Chi-square of counts against expected probabilities as a standard normal deviate (Wilson, Hilferty 1931). Cells that
// expect fewer than ten are taken together.
inline double ChiSquareDeviate(const std::vector<int64_t>& counts, const std::vector<double>& probabilities) {
  int64_t draws = 0;
  for (int64_t count : counts) draws += count;
  double statistic = 0, small_expected = 0;
  int64_t small_count = 0;
  int cells = 0;
  const auto add = [&](double expected, double count) {
    statistic += (count - expected) * (count - expected) / expected;
    ++cells;
  };
  for (size_t i = 0; i < counts.size(); ++i) {
    const double expected = probabilities[i] * static_cast<double>(draws);
    if (expected >= 10) {
      add(expected, static_cast<double>(counts[i]));
    } else if (expected == 0) {
      if (counts[i] != 0) return std::numeric_limits<double>::infinity();
    } else {
      small_expected += expected;
      small_count += counts[i];
    }
  }
  if (small_expected >= 1) add(small_expected, static_cast<double>(small_count));
  if (cells < 2) return 0;
  const double k = cells - 1;
  return (std::cbrt(statistic / k) - (1 - 2 / (9 * k))) / std::sqrt(2 / (9 * k));
}
inline constexpr double kChiSquareLimit = 4.76;  // p = 1e-6, one-sided

}  // namespace offerd
