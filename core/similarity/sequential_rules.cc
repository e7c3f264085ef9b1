#include "core/similarity/sequential_rules.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "core/similarity/basket_index.h"
#include "core/similarity/best_of.h"
#include "core/similarity/score_order.h"
#include "core/similarity/table_rows.h"
#include "core/status_macros.h"

namespace offerd {
namespace {

double WeightAt(DistanceWeight weight, size_t distance) {
  const double d = static_cast<double>(distance);
  switch (weight) {
    case DistanceWeight::kOne:
      return 1;
    case DistanceWeight::kInverse:
      return 1 / d;
    case DistanceWeight::kLinear:
      return distance < 10 ? 1 - 0.1 * d : 0;
    case DistanceWeight::kQuadratic:
      return 1 / (d * d);
    case DistanceWeight::kLog:
      return 1 / std::log10(d + 1.7);
  }
  return 0;
}

// Weights by distance from 1 on, up to the last distance that counts and occurs.
std::vector<double> Weights(const Baskets& sessions, const SequentialRulesOptions& options) {
  size_t longest = 0;
  for (size_t s = 0; s < sessions.size(); ++s) longest = std::max(longest, sessions[s].size());
  std::vector<double> weights = {0};
  for (size_t d = 1; d < longest && d <= options.steps; ++d) weights.push_back(WeightAt(options.weight, d));
  while (weights.back() == 0 && weights.size() > 1) weights.pop_back();
  return weights;
}

class RowBuilder {
 public:
  RowBuilder(const Baskets& sessions, const BasketIndex& index, const SequentialRulesOptions& options,
             const std::vector<double>& weights)
      : sessions_(sessions), index_(index), options_(options), weights_(weights), sums_(sessions.num_items) {}

  absl::Span<const Neighbour> Row(TableItem item) {
    uint32_t previous = std::numeric_limits<uint32_t>::max();
    for (uint32_t session : index_[item]) {
      if (session != previous) AddSession(item, session);
      previous = session;
    }
    best_.Start(options_.keep == 0 ? touched_.size() : options_.keep);
    for (TableItem other : touched_) {
      best_.Offer({sums_[other], other});
      sums_[other] = 0;
    }
    touched_.clear();
    return best_.Sorted();
  }

 private:
  void AddSession(TableItem item, uint32_t number) {
    const absl::Span<const TableItem> session = sessions_[number];
    const double factor = sessions_.weights.empty() ? 1 : sessions_.weights[number];
    for (size_t p = 0; p < session.size(); ++p) {
      if (session[p] != item) continue;
      if (options_.in_order) {
        const size_t last = std::min(session.size() - 1, p + weights_.size() - 1);
        for (size_t q = p + 1; q <= last; ++q) Add(session[q], factor * weights_[q - p]);
      } else {
        for (size_t q = 0; q < session.size(); ++q) {
          if (q != p) Add(session[q], factor);
        }
      }
    }
  }

  void Add(TableItem other, double weight) {
    if (sums_[other] == 0) touched_.push_back(other);  // weights are positive
    sums_[other] += weight;
  }

  const Baskets& sessions_;
  const BasketIndex& index_;
  const SequentialRulesOptions& options_;
  const std::vector<double>& weights_;
  std::vector<double> sums_;  // all zero between rows
  std::vector<TableItem> touched_;
  BestOf<Neighbour, ScoreOrder<12>> best_;
};

}  // namespace

absl::StatusOr<ItemTable> BuildSequentialRules(const Baskets& sessions, const SequentialRulesOptions& options,
                                               ParallelFor parallel_for) {
  if (options.in_order && options.steps == 0) return absl::InvalidArgumentError("steps: expected at least 1, found 0");
  RETURN_IF_ERROR(CheckBaskets(sessions, parallel_for));
  const BasketIndex index = InvertBaskets(sessions, parallel_for);
  const std::vector<double> weights = Weights(sessions, options);
  const std::vector<size_t> ends = CutRows(sessions, index);
  std::vector<TableRows> parts(ends.size() - 1);
  parallel_for(parts.size(), [&](size_t task) {
    RowBuilder builder(sessions, index, options, weights);
    for (size_t item = ends[task]; item < ends[task + 1]; ++item) {
      parts[task].Append(builder.Row(static_cast<TableItem>(item)));
    }
  });
  return JoinRows(std::move(parts));
}

}  // namespace offerd
