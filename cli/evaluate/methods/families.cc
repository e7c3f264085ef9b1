#include "cli/evaluate/methods/families.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace offerd::evaluate {

std::vector<double> RecencyWeights(const Training& training, double half_life_days) {
  std::vector<double> weights;
  if (half_life_days <= 0 || training.times.empty()) return weights;
  const TimeMicros newest = *std::max_element(training.times.begin(), training.times.end());
  weights.reserve(training.times.size());
  for (const TimeMicros time : training.times) {
    const double days = static_cast<double>(newest - time) / static_cast<double>(kMicrosPerDay);
    weights.push_back(std::max(1e-12, std::exp2(-days / half_life_days)));  // builders want them positive
  }
  return weights;
}

std::vector<TableItem> ItemsByPopularity(const Training& training) {
  std::vector<TableItem> items(training.num_items());
  std::iota(items.begin(), items.end(), 0u);
  const auto& counts = training.item_counts;
  std::stable_sort(items.begin(), items.end(), [&counts](TableItem a, TableItem b) { return counts[a] > counts[b]; });
  return items;
}

void KeepBest(size_t count, std::vector<ScoredItem>* scored) {
  const auto is_better = [](const ScoredItem& a, const ScoredItem& b) { return a.score != b.score ? a.score > b.score : a.item < b.item; };
  if (scored->size() > count) {
    std::nth_element(scored->begin(), scored->begin() + static_cast<std::ptrdiff_t>(count), scored->end(), is_better);
    scored->resize(count);
  }
  std::sort(scored->begin(), scored->end(), is_better);
}

MethodOr TrainMethod(const MethodSpec& spec, const Training& training, const TrainingLimits& limits, const Workers& workers) {
  if (training.rows.size() == 0 || training.num_items() == 0) return absl::InvalidArgumentError("there is nothing to train on");
  if (spec.name == "popular") return TrainPopular(spec, training);
  if (spec.name == "ar" || spec.name == "sr") return TrainRules(spec, training, workers);
  if (spec.name == "ease") return TrainEase(spec, training, limits, workers);
  if (spec.name == "vmis") return TrainSessionNeighbours(spec, training);
  if (spec.name == "repeat" || spec.name == "repeat_popular") return TrainRepeat(spec, training);
  if (spec.name == "blend") return TrainBlend(spec, training, limits, workers);
  return TrainPairs(spec, training, workers);
}

}  // namespace offerd::evaluate
