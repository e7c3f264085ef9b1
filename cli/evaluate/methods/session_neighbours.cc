#include "core/similarity/session_neighbours.h"

#include <algorithm>
#include <utility>

#include "cli/evaluate/item_numbers.h"
#include "cli/evaluate/methods/families.h"
#include "core/status_macros.h"

namespace offerd::evaluate {
namespace {

class SessionNeighbours final : public Method {
 public:
  SessionNeighbours(SessionIndex index, SessionQueryOptions options) : index_(std::move(index)), options_(options) {}
  std::unique_ptr<Recommender> NewRecommender() const override { return std::make_unique<Answers>(index_, options_); }

 private:
  class Answers final : public Recommender {
   public:
    Answers(const SessionIndex& index, SessionQueryOptions options) : index_(index), options_(options) {}

    void Recommend(const Query& query, size_t count, std::vector<ScoredItem>* answer) override {
      const bool removes = query.removes_items();
      options_.count = removes ? count + query.items.size() : count;
      index_.Recommend(query.items, options_, scratch_, answer);
      if (!removes) return;
      removed_.StartRow();
      for (const TableItem item : query.items) removed_.Insert(item);
      const auto is_removed = [this](const ScoredItem& scored) { return removed_.Contains(scored.item); };
      answer->erase(std::remove_if(answer->begin(), answer->end(), is_removed), answer->end());
      if (answer->size() > count) answer->resize(count);
    }

   private:
    const SessionIndex& index_;
    SessionQueryOptions options_;
    SessionIndex::Scratch scratch_;
    SeenItems removed_;
  };

  const SessionIndex index_;
  const SessionQueryOptions options_;
};

}  // namespace

MethodOr TrainSessionNeighbours(const MethodSpec& spec, const Training& training) {
  SessionIndexOptions options;
  options.sessions_per_item = static_cast<size_t>(spec.Whole("m"));
  options.length_quantile = spec.Real("quantile");
  SessionQueryOptions query;
  query.neighbours = static_cast<size_t>(spec.Whole("k"));
  query.last_items = static_cast<size_t>(spec.Whole("last"));
  query.idf_weight = spec.Real("idf");
  query.keep_current = spec.Flag("keep_current");
  ASSIGN_OR_RETURN(SessionIndex index, SessionIndex::Build(training.rows, training.times, options));
  return std::unique_ptr<Method>(std::make_unique<SessionNeighbours>(std::move(index), query));
}

}  // namespace offerd::evaluate
