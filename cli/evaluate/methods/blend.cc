#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/evaluate/methods/families.h"
#include "core/similarity/ease.h"
#include "core/status_macros.h"

namespace offerd::evaluate {
namespace {

// How many items of a part's answer are mixed; what lies deeper has next to no score left.
constexpr size_t kDepth = 1000;

struct Part {
  std::unique_ptr<Method> method;
  double weight = 0;
  bool from_history = false;
};

// Sum of the scores of several methods, each divided by the largest of its own answer.
class Blend final : public Method {
 public:
  Blend(std::vector<Part> parts, const Training& training) : training_(training), parts_(std::move(parts)), num_items_(training.num_items()) {}
  std::unique_ptr<Recommender> NewRecommender() const override { return std::make_unique<Answers>(*this); }

 private:
  class Answers final : public Recommender {
   public:
    explicit Answers(const Blend& method) : method_(method), scores_(method.num_items_, 0) {
      for (const Part& part : method.parts_) recommenders_.push_back(part.method->NewRecommender());
    }

    void Recommend(const Query& query, size_t count, std::vector<ScoredItem>* answer) override {
      touched_.clear();
      for (size_t i = 0; i < recommenders_.size(); ++i) {
        recommenders_[i]->Recommend(method_.parts_[i].from_history ? History(query) : query, std::max(count, kDepth), &part_);
        if (part_.empty() || part_[0].score <= 0) continue;
        const double factor = method_.parts_[i].weight / part_[0].score;
        for (const ScoredItem& scored : part_) {
          if (scored.score <= 0) break;
          if (scores_[scored.item] == 0) touched_.push_back(scored.item);
          scores_[scored.item] += factor * scored.score;
        }
      }
      answer->clear();
      for (const TableItem item : query.items) {
        if (query.removes_items() && item < scores_.size()) scores_[item] = 0;
      }
      for (const TableItem item : touched_) {
        const double score = std::exchange(scores_[item], 0);
        if (score > 0) answer->push_back({item, score});
      }
      KeepBest(count, answer);
    }

   private:
    Query History(const Query& query) {
      items_.clear(); weights_.clear();
      for (const HistoryEntry& entry : method_.training_.histories.Of(query.user)) {
        items_.push_back(entry.item);
        weights_.push_back(static_cast<float>(entry.count));
      }
      Query history = query;
      history.protocol = Protocol::kNextBasket;
      history.items = items_;
      history.weights = weights_;
      return history;
    }
    std::vector<TableItem> items_;
    std::vector<float> weights_;

    const Blend& method_;
    std::vector<std::unique_ptr<Recommender>> recommenders_;
    std::vector<double> scores_;  // all 0 between queries
    std::vector<TableItem> touched_;
    std::vector<ScoredItem> part_;
  };

  const Training& training_;
  const std::vector<Part> parts_;
  const size_t num_items_;
};

struct PartSpec {
  std::string method;
  double weight = 0;
  bool from_history = false;
};

std::vector<PartSpec> SessionParts(const MethodSpec& spec) {
  return {{absl::StrCat("vmis:m=", spec.Whole("m"), ",k=", spec.Whole("k"), ",last=", spec.Whole("last")), 1},
          {absl::StrCat("sr:keep=100,steps=", spec.Whole("steps")), spec.Real("rules")},
          {"popular", spec.Real("popular")}};
}

bool EaseFits(const Training& training, const TrainingLimits& limits) {
  return limits.memory_bytes == 0 || EaseMemoryBytes(training.num_items()) <= limits.memory_bytes;
}

// EASE was the better part of a mix with 169, 289 and 5,000 items, by less the more there are (docs/quality.md); beyond, its build takes
// minutes and its matrix gigabytes.
constexpr size_t kFewItems = 5000;

// The item-item part of baskets. EASE has neither rows to cut nor rare pairs to leave out.
std::string BasketTable(const MethodSpec& spec, const Training& training, const TrainingLimits& limits) {
  std::string table = spec.Text("table");
  if (table == "auto") table = training.num_items() <= kFewItems && EaseFits(training, limits) ? "ease" : "jaccard";
  if (table == "ease") return absl::StrCat("ease:lambda=", spec.Real("lambda"));
  return absl::StrCat(table, ":k=", spec.Whole("k"), ",fill=none,half_life=", spec.Real("table_half_life"),
                      ",min_support=", spec.Real("min_support"));
}

std::vector<PartSpec> BasketParts(const MethodSpec& spec, const Training& training, const TrainingLimits& limits) {
  const std::string table = BasketTable(spec, training, limits);
  const bool has_users = !training.histories.entries.empty();
  return {{table, spec.Real("table_weight")},
          {absl::StrCat("repeat:half_life=", spec.Real("half_life")), has_users ? spec.Real("own") : 0},
          {absl::StrCat("popular:half_life=", spec.Real("trend")), spec.Real("popular")},
          {table, spec.Real("taste"), true}};
}

// EASE where its matrix fits, else the nearest thing that does.
std::vector<PartSpec> UserParts(const MethodSpec& spec, const Training& training, const TrainingLimits& limits) {
  if (EaseFits(training, limits)) return {{absl::StrCat("ease:lambda=", spec.Real("lambda")), 1}};
  return {{absl::StrCat("cosine:k=", spec.Whole("k"), ",shrink=", spec.Real("shrink")), 1}, {"popular", 0.001}};
}

}  // namespace

MethodOr TrainBlend(const MethodSpec& spec, const Training& training, const TrainingLimits& limits, const Workers& workers) {
  std::vector<PartSpec> wanted;
  switch (training.protocol) {
    case Protocol::kSessions:
      wanted = SessionParts(spec);
      break;
    case Protocol::kLeaveOneOut:
    case Protocol::kNextBasket:
      wanted = BasketParts(spec, training, limits);
      break;
    case Protocol::kUsers:
      wanted = UserParts(spec, training, limits);
      break;
  }
  std::vector<Part> parts;
  for (const PartSpec& part : wanted) {
    if (part.weight <= 0) continue;
    ASSIGN_OR_RETURN(const MethodSpec part_spec, ParseMethodSpec(part.method, training.protocol, Use::kMeasure));
    ASSIGN_OR_RETURN(std::unique_ptr<Method> method, TrainMethod(part_spec, training, limits, workers));
    parts.push_back({std::move(method), part.weight, part.from_history});
  }
  return std::unique_ptr<Method>(std::make_unique<Blend>(std::move(parts), training));
}

}  // namespace offerd::evaluate
