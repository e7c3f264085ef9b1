#include <algorithm>
#include <cmath>
#include <utility>

#include "cli/evaluate/item_numbers.h"
#include "cli/evaluate/methods/families.h"

namespace offerd::evaluate {
namespace {

enum class Ties { kFirst, kRecent, kPopular };

struct RepeatOptions {
  Ties ties = Ties::kRecent;
  double half_life_days = 0;
  bool fills_with_popular = false;
};

// What the user bought before, most often first.
class Repeat final : public Method {
 public:
  Repeat(const Training& training, RepeatOptions options) : training_(training), options_(options) {
    if (options.fills_with_popular) by_popularity_ = ItemsByPopularity(training);
  }
  std::unique_ptr<Recommender> NewRecommender() const override { return std::make_unique<Answers>(*this); }

 private:
  struct Candidate {
    double score = 0;
    int64_t tie = 0;  // the larger first
    TableItem item = 0;
  };

  class Answers final : public Recommender {
   public:
    explicit Answers(const Repeat& method) : method_(method) {}

    void Recommend(const Query& query, size_t count, std::vector<ScoredItem>* answer) override {
      taken_.StartRow();
      if (query.removes_items()) {
        for (const TableItem item : query.items) taken_.Insert(item);
      }
      Collect(query);
      std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
        return a.score != b.score ? a.score > b.score : a.tie != b.tie ? a.tie > b.tie : a.item < b.item;
      });
      answer->clear();
      for (const Candidate& candidate : candidates_) {
        if (answer->size() == count) return;
        answer->push_back({candidate.item, candidate.score});
        taken_.Insert(candidate.item);
      }
      for (const TableItem item : method_.by_popularity_) {
        if (answer->size() >= count) return;
        if (taken_.Insert(item)) answer->push_back({item, 0});
      }
    }

   private:
    void Collect(const Query& query) {
      candidates_.clear();
      const auto history = method_.training_.histories.Of(query.user);
      if (method_.options_.half_life_days > 0) AddDecayed(query.user);
      int64_t place = 0;
      for (const HistoryEntry& entry : history) {
        --place;
        if (taken_.Contains(entry.item)) continue;
        const double score = method_.options_.half_life_days > 0 ? decayed_[entry.item] : entry.count;
        const Ties ties = method_.options_.ties;
        const int64_t tie = ties == Ties::kFirst ? place : ties == Ties::kRecent ? entry.last : method_.training_.item_counts[entry.item];
        candidates_.push_back({score, tie, entry.item});
      }
    }

    // Purchases by their age at the user's last one; any other moment would give the same order.
    void AddDecayed(uint32_t user) {
      const Training& training = method_.training_;
      decayed_.resize(training.num_items(), 0);
      for (const HistoryEntry& entry : training.histories.Of(user)) decayed_[entry.item] = 0;
      const auto baskets = training.histories.BasketsOf(user);
      for (const uint32_t basket : baskets) {
        const auto age = static_cast<double>(training.times[baskets.back()] - training.times[basket]);
        const double weight = std::exp2(-age / static_cast<double>(kMicrosPerDay) / method_.options_.half_life_days);
        for (const TableItem item : training.rows[basket]) decayed_[item] += weight;
      }
    }

    const Repeat& method_;
    std::vector<Candidate> candidates_;
    std::vector<double> decayed_;
    SeenItems taken_;
  };

  const Training& training_;
  const RepeatOptions options_;
  std::vector<TableItem> by_popularity_;  // empty unless asked for
};

}  // namespace

MethodOr TrainRepeat(const MethodSpec& spec, const Training& training) {
  if (training.histories.entries.empty()) {
    return absl::InvalidArgumentError("no training basket has a user: --columns user= says where they stand");
  }
  RepeatOptions options;
  const std::string& ties = spec.Text("ties");
  options.ties = ties == "first" ? Ties::kFirst : ties == "recent" ? Ties::kRecent : Ties::kPopular;
  options.half_life_days = spec.Real("half_life");
  options.fills_with_popular = spec.name == "repeat_popular";
  return std::unique_ptr<Method>(std::make_unique<Repeat>(training, options));
}

}  // namespace offerd::evaluate
