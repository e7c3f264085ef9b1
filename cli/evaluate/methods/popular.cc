#include <utility>

#include "cli/evaluate/item_numbers.h"
#include "cli/evaluate/methods/families.h"

namespace offerd::evaluate {
namespace {

// Every training item, the most frequent first.
class Popular final : public Method {
 public:
  explicit Popular(std::vector<ScoredItem> items) : items_(std::move(items)) {}
  std::unique_ptr<Recommender> NewRecommender() const override { return std::make_unique<Answers>(items_); }

 private:
  class Answers final : public Recommender {
   public:
    explicit Answers(const std::vector<ScoredItem>& items) : items_(items) {}

    void Recommend(const Query& query, size_t count, std::vector<ScoredItem>* answer) override {
      answer->clear();
      removed_.StartRow();
      if (query.removes_items()) {
        for (const TableItem item : query.items) removed_.Insert(item);
      }
      for (const ScoredItem& item : items_) {
        if (answer->size() == count) return;
        if (!removed_.Contains(item.item)) answer->push_back(item);
      }
    }

   private:
    const std::vector<ScoredItem>& items_;
    SeenItems removed_;
  };

  const std::vector<ScoredItem> items_;
};

}  // namespace

MethodOr TrainPopular(const MethodSpec& spec, const Training& training) {
  const std::vector<double> weights = RecencyWeights(training, spec.Real("half_life"));
  std::vector<ScoredItem> items(training.num_items());
  for (TableItem item = 0; item < items.size(); ++item) items[item].item = item;
  for (size_t row = 0; row < training.rows.size(); ++row) {
    const double weight = weights.empty() ? 1 : weights[row];
    for (const TableItem item : training.rows[row]) items[item].score += weight;
  }
  KeepBest(items.size(), &items);
  return std::unique_ptr<Method>(std::make_unique<Popular>(std::move(items)));
}

}  // namespace offerd::evaluate
