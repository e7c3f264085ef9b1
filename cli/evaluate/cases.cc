#include "cli/evaluate/cases.h"

#include <algorithm>

namespace offerd::evaluate {

Cases::Cases(const Dataset& data, absl::Span<const size_t> cutoffs, size_t min_prefix)
    : data_(data), cutoffs_(cutoffs), min_prefix_(min_prefix), popularity_(data.training.item_counts) {}

void Cases::Run(size_t row, Ask ask, MetricSums* sums) {
  switch (data_.training.protocol) {
    case Protocol::kSessions:
      return RunSession(row, ask, sums);
    case Protocol::kLeaveOneOut:
      return RunLeaveOneOut(row, ask, sums);
    case Protocol::kNextBasket:
      return RunNextBasket(row, ask, sums);
    case Protocol::kUsers:
      return RunUser(row, ask, sums);
  }
}

void Cases::RunSession(size_t row, Ask ask, MetricSums* sums) {
  const auto session = data_.test.rows[row];
  Query query;
  query.protocol = Protocol::kSessions;
  query.time = data_.test.times[row];
  for (size_t seen = min_prefix_; seen < session.size(); ++seen) {
    query.items = session.first(seen);
    const auto list = ask(query);
    ScoreNextClicks(list, session.subspan(seen), cutoffs_, &scores_);
    popularity_.Score(list, cutoffs_, &scores_);
    sums->AddCase(scores_);
  }
}

// One case a basket: the mean over its items, each hidden in turn.
void Cases::RunLeaveOneOut(size_t row, Ask ask, MetricSums* sums) {
  const auto basket = data_.test.rows[row];
  Query query;
  query.protocol = Protocol::kLeaveOneOut;
  query.user = data_.test.users[row];
  query.time = data_.test.times[row];
  means_.assign(cutoffs_.size(), CaseScores());
  for (size_t hidden = 0; hidden < basket.size(); ++hidden) {
    items_.assign(basket.begin(), basket.end());
    items_.erase(items_.begin() + static_cast<std::ptrdiff_t>(hidden));
    query.items = items_;
    const auto list = ask(query);
    ScoreRelevant(list, basket.subspan(hidden, 1), Ideal::kWhole, cutoffs_, &scores_);
    popularity_.Score(list, cutoffs_, &scores_);
    for (size_t i = 0; i < cutoffs_.size(); ++i) {
      for (size_t m = 0; m < kNumMetrics; ++m) means_[i].values[m] += scores_[i].values[m] / static_cast<double>(basket.size());
    }
  }
  sums->AddCase(means_);
}

void Cases::RunNextBasket(size_t row, Ask ask, MetricSums* sums) {
  items_.clear();
  weights_.clear();
  for (const HistoryEntry& entry : data_.training.histories.Of(data_.test.users[row])) {
    items_.push_back(entry.item);
    weights_.push_back(static_cast<float>(entry.count));
  }
  Query query;
  query.protocol = Protocol::kNextBasket;
  query.items = items_;
  query.weights = weights_;
  query.user = data_.test.users[row];
  query.time = data_.test.times[row];
  const auto list = ask(query);
  ScoreRelevant(list, data_.test.rows[row], Ideal::kWhole, cutoffs_, &scores_);
  popularity_.Score(list, cutoffs_, &scores_);
  sums->AddCase(scores_);
}

void Cases::RunUser(size_t row, Ask ask, MetricSums* sums) {
  Query query;
  query.protocol = Protocol::kUsers;
  query.user = data_.test.users[row];
  if (query.user < data_.training.rows.size()) query.items = data_.training.rows[query.user];
  const auto list = ask(query);
  ScoreRelevant(list, data_.test.rows[row], Ideal::kWithinCutoff, cutoffs_, &scores_);
  popularity_.Score(list, cutoffs_, &scores_);
  sums->AddCase(scores_);
}

}  // namespace offerd::evaluate
