#include <algorithm>
#include <utility>

#include "cli/evaluate/item_numbers.h"
#include "cli/evaluate/methods/families.h"
#include "core/similarity/cart_scorer.h"
#include "core/similarity/pair_table.h"
#include "core/similarity/sequential_rules.h"
#include "core/status_macros.h"

namespace offerd::evaluate {
namespace {

// Answers from rows of an item table: of the last click, or the sum over cart or history. Behind the items that the table tells
// something of come those of `fill`, in its order.
class Table final : public Method {
 public:
  Table(ItemTable table, std::vector<TableItem> fill) : table_(std::move(table)), fill_(std::move(fill)) {}
  std::unique_ptr<Recommender> NewRecommender() const override { return std::make_unique<Answers>(table_.view(), fill_); }

 private:
  class Answers final : public Recommender {
   public:
    Answers(ItemTableView table, const std::vector<TableItem>& fill) : table_(table), fill_(fill) {}

    void Recommend(const Query& query, size_t count, std::vector<ScoredItem>* answer) override {
      answer->clear();
      if (query.protocol == Protocol::kSessions) {
        FromLastClick(query, count, answer);
        return;
      }
      lines_.clear();
      for (size_t i = 0; i < query.items.size(); ++i) {
        lines_.push_back({query.items[i], query.weights.empty() ? 1 : query.weights[i]});
      }
      scorer_.Accumulate(table_, lines_);
      if (query.removes_items()) {
        scorer_.Top(count, {}, answer);
        if (answer->size() < count && !fill_.empty()) Fill(query, count, answer);
        return;
      }
      for (const TableItem item : scorer_.touched()) answer->push_back({item, scorer_.score(item)});
      KeepBest(count, answer);
    }

   private:
    // Rows are in order already.
    void FromLastClick(const Query& query, size_t count, std::vector<ScoredItem>* answer) const {
      if (query.items.empty() || query.items.back() >= table_.num_items()) return;
      const auto items = table_.Neighbours(query.items.back());
      const auto scores = table_.Scores(query.items.back());
      for (size_t i = 0; i < std::min(count, items.size()); ++i) answer->push_back({items[i], scores[i]});
    }

    void Fill(const Query& query, size_t count, std::vector<ScoredItem>* answer) {
      taken_.StartRow();
      for (const TableItem item : query.items) taken_.Insert(item);
      for (const ScoredItem& scored : *answer) taken_.Insert(scored.item);
      for (const TableItem item : fill_) {
        if (answer->size() == count) return;
        if (taken_.Insert(item)) answer->push_back({item, 0});
      }
    }

    const ItemTableView table_;
    const std::vector<TableItem>& fill_;
    CartScorer scorer_;
    std::vector<CartLine> lines_;
    SeenItems taken_;
  };

  const ItemTable table_;
  const std::vector<TableItem> fill_;
};

PairMeasure MeasureOf(const std::string& name) {
  if (name == "count") return PairMeasure::kCount;
  if (name == "confidence") return PairMeasure::kConfidence;
  if (name == "jaccard") return PairMeasure::kJaccard;
  if (name == "lift") return PairMeasure::kLift;
  if (name == "llr") return PairMeasure::kLogLikelihoodRatio;
  return PairMeasure::kCosine;
}

DistanceWeight WeightOf(const std::string& name) {
  if (name == "linear") return DistanceWeight::kLinear;
  if (name == "quadratic") return DistanceWeight::kQuadratic;
  if (name == "log") return DistanceWeight::kLog;
  return DistanceWeight::kInverse;
}

MethodOr MakeTable(absl::StatusOr<ItemTable> table, std::vector<TableItem> fill) {
  RETURN_IF_ERROR(table.status());
  return std::unique_ptr<Method>(std::make_unique<Table>(*std::move(table), std::move(fill)));
}

}  // namespace

MethodOr TrainRules(const MethodSpec& spec, const Training& training, const Workers& workers) {
  SequentialRulesOptions options;
  options.in_order = spec.name == "sr";
  options.keep = static_cast<size_t>(spec.Whole("keep"));
  if (options.in_order) {
    options.steps = static_cast<size_t>(spec.Whole("steps"));
    options.weight = WeightOf(spec.Text("weight"));
  }
  return MakeTable(BuildSequentialRules(training.rows, options, workers), {});
}

MethodOr TrainPairs(const MethodSpec& spec, const Training& training, const Workers& workers) {
  PairTableOptions options;
  options.measure = MeasureOf(spec.name);
  options.keep = static_cast<size_t>(spec.Whole("k"));
  options.min_support = spec.Real("min_support");
  options.max_basket_items = static_cast<size_t>(spec.Whole("max_items"));
  if (spec.name == "cosine") options.shrink = spec.Real("shrink");
  if (spec.name == "confidence") options.damping = spec.Real("damping");
  std::vector<TableItem> fill;
  if (training.protocol == Protocol::kLeaveOneOut && spec.Text("fill") == "popular") fill = ItemsByPopularity(training);
  const double half_life = spec.Real("half_life");
  if (half_life <= 0) return MakeTable(BuildPairTable(training.rows, options, workers), std::move(fill));
  Baskets weighted = training.rows;
  weighted.weights = RecencyWeights(training, half_life);
  return MakeTable(BuildPairTable(weighted, options, workers), std::move(fill));
}

}  // namespace offerd::evaluate
