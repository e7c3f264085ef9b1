#include <utility>

#include "cli/evaluate/item_numbers.h"
#include "cli/evaluate/methods/families.h"
#include "core/similarity/best_of.h"
#include "core/similarity/ease.h"
#include "core/similarity/score_order.h"
#include "core/status_macros.h"

namespace offerd::evaluate {
namespace {

// All items by what the items of a query add to them. Those that only take away stand at the end, not outside.
class Ease final : public Method {
 public:
  explicit Ease(RowMatrix weights) : weights_(std::move(weights)) {}
  std::unique_ptr<Recommender> NewRecommender() const override { return std::make_unique<Answers>(weights_); }

 private:
  class Answers final : public Recommender {
   public:
    explicit Answers(const RowMatrix& weights) : weights_(weights), scores_(weights.cols()) {}

    void Recommend(const Query& query, size_t count, std::vector<ScoredItem>* answer) override {
      answer->clear();
      if (!AddRows(query)) return;
      best_.Start(count);
      for (TableItem item = 0; item < static_cast<TableItem>(scores_.size()); ++item) {
        if (!query.removes_items() || !asked_.Contains(item)) best_.Offer({scores_[item], item});
      }
      for (const Neighbour& neighbour : best_.Sorted()) answer->push_back({neighbour.item, neighbour.score});
    }

   private:
    // An item that stands several times counts once. False: training knows none of them.
    bool AddRows(const Query& query) {
      asked_.StartRow();
      scores_.setZero();
      bool knows_one = false;
      for (size_t i = 0; i < query.items.size(); ++i) {
        const TableItem item = query.items[i];
        if (item >= weights_.rows() || !asked_.Insert(item)) continue;
        knows_one = true;
        scores_ += (query.weights.empty() ? 1.0 : static_cast<double>(query.weights[i])) * weights_.row(item);
      }
      return knows_one;
    }

    const RowMatrix& weights_;
    Eigen::RowVectorXd scores_;
    SeenItems asked_;
    BestOf<Neighbour, ScoreOrder<9>> best_;
  };

  const RowMatrix weights_;
};

}  // namespace

MethodOr TrainEase(const MethodSpec& spec, const Training& training, const TrainingLimits& limits, const Workers& workers) {
  EaseOptions options;
  options.lambda = spec.Real("lambda");
  options.memory_bytes = limits.memory_bytes;
  ASSIGN_OR_RETURN(RowMatrix weights, EaseWeights(training.rows, options, workers));
  return std::unique_ptr<Method>(std::make_unique<Ease>(std::move(weights)));
}

}  // namespace offerd::evaluate
