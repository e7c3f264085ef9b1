#include "core/lists/list_answer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace offerd {
namespace {

constexpr double kReciprocalRankOffset = 60;
constexpr size_t kMaxSession = 100;

class Answerer {
 public:
  Answerer(const State& state, const ListRequest& request, TimeMicros now, ListScratch& scratch, ListAnswer& answer)
      : state_(state), request_(request), scratch_(scratch), context_(scratch.context), answer_(answer) {
    context_.state = &state;
    context_.call = request.call;
    context_.now = now;
    context_.market = request.market;
  }

  absl::Status Run() {
    const PlacementState* placement = state_.FindPlacement(request_.placement);
    if (placement == nullptr) return absl::NotFoundError(absl::StrCat("placement: no placement named '", request_.placement, "'"));
    if (!placement->placement.lists.has_value()) {
      return absl::FailedPreconditionError(
          absl::StrCat("placement: '", request_.placement, "' has no lists: set them with SetPlacement"));
    }
    lists_ = &*placement->placement.lists;
    context_.lists = lists_;
    count_ = CountOf(placement->placement.slate_size);
    FindCustomer();
    FindSeeds();
    Hide();
    scratch_.blended.clear();
    scratch_.by_index.clear();
    scratch_.by_id.clear();
    scratch_.strategy.lines_of = nullptr;
    for (const Strategy& strategy : lists_->strategies) Ask(strategy, /*is_fallback=*/false);
    AddBusinessValue(0);
    Select();
    FallBack();
    if (answer_.entries.size() < count_) Note(ListNote::kFewerThanAsked);
    return absl::OkStatus();
  }

 private:
  using Blended = ListScratch::Blended;

  void Note(ListNote note) {
    if (std::find(answer_.notes.begin(), answer_.notes.end(), note) == answer_.notes.end()) answer_.notes.push_back(note);
  }

  size_t CountOf(int slate_size) {
    if (request_.count > slate_size) Note(ListNote::kCountCoerced);
    return static_cast<size_t>(request_.count == 0 ? slate_size : std::min(request_.count, slate_size));
  }

  void FindCustomer() {
    const Profile* profile = request_.customer_id.empty() ? nullptr : state_.customers.Find(request_.customer_id);
    const Consent stored = profile == nullptr ? Consent::kUnspecified : profile->customer.consent;
    const Consent consent = request_.consent == Consent::kUnspecified ? stored : request_.consent;
    if (consent == Consent::kDenied) {
      Note(ListNote::kConsentDenied);
      profile = nullptr;
    } else if (!request_.customer_id.empty() && profile == nullptr) {
      Note(ListNote::kUnknownCustomer);
    }
    context_.profile = profile;
    CollectHistory(context_);
  }

  bool IsKnownToATable(absl::string_view id) const {
    for (const Strategy& strategy : lists_->strategies) {
      const ListTable* table = strategy.table.empty() ? nullptr : FindTable(state_, strategy.table, request_.market);
      if (table != nullptr && table->ids.Find(id).has_value()) return true;
    }
    return false;
  }

  void FindSeeds() {
    context_.seeds.clear();
    size_t first = 0;
    if (request_.items.size() > kMaxSession) {
      first = request_.items.size() - kMaxSession;
      Note(ListNote::kSessionCut);
    }
    const bool is_session = request_.call == ListCall::kRecommendNext;
    for (size_t i = first; i < request_.items.size(); ++i) {
      const absl::string_view id = request_.items[i];
      const auto is_same = [id](const ListSeed& seed) { return seed.id == id; };
      const bool is_known = std::any_of(context_.seeds.begin(), context_.seeds.end(), is_same);
      if (is_known && !is_session) continue;  // a session counts every click, a cart every item
      const ItemIndex* index = state_.catalogue.FindItem(id);
      context_.seeds.push_back({id, index == nullptr ? kNoItem : *index});
      if (is_known || index != nullptr || IsKnownToATable(id)) continue;
      answer_.unknown_items.emplace_back(id);
      Note(ListNote::kUnknownItems);
    }
  }

  void Hide() {
    scratch_.hidden.clear();
    for (const absl::string_view id : request_.excluded) scratch_.hidden.insert(id);
    // Of a session only the current item: what was looked at before may be what is wanted.
    if (request_.call == ListCall::kRecommendNext) {
      if (!context_.seeds.empty()) scratch_.hidden.insert(context_.seeds.back().id);
    } else {
      for (const ListSeed& seed : context_.seeds) scratch_.hidden.insert(seed.id);
    }
    hides_bought_ = !lists_->keep_bought && request_.call != ListCall::kCrossSell;
  }

  bool IsBought(ItemIndex index) const {
    const auto at = std::lower_bound(context_.history.begin(), context_.history.end(), index,
                                     [](const HistoryItem& item, ItemIndex wanted) { return item.index < wanted; });
    return at != context_.history.end() && at->index == index && at->purchases > 0;
  }

  // Only what can be bought. A server without a catalogue shows what its tables know.
  bool MayShow(absl::string_view id, ItemIndex index, bool keeps_bought) const {
    if (scratch_.hidden.contains(id)) return false;
    if (state_.catalogue.num_items() > 0) {
      if (index == kNoItem || !state_.catalogue.IsOnSale(index, request_.market)) return false;
    }
    return keeps_bought || !hides_bought_ || index == kNoItem || !IsBought(index);
  }

  void NoteTable(const Strategy& strategy) {
    if (strategy.table.empty()) return;
    const ListTable* table = FindTable(state_, strategy.table, request_.market);
    if (table == nullptr) {
      Note(ListNote::kTableMissing);
      if (std::find(answer_.missing_tables.begin(), answer_.missing_tables.end(), strategy.table) == answer_.missing_tables.end()) {
        answer_.missing_tables.push_back(strategy.table);
      }
      return;
    }
    const TablePublished used{table->name, table->version, table->checksum};
    const auto is_same = [&used](const TablePublished& other) { return used.IsSameTable(other); };
    if (std::none_of(answer_.tables.begin(), answer_.tables.end(), is_same)) answer_.tables.push_back(used);
  }

  // The order of the strategy is that of the list: nothing is blended, weighed or left out afterwards.
  bool KeepsItsOrder() const {
    return lists_->strategies.size() == 1 && answer_.entries.empty() && lists_->margin_weight == 0 && lists_->up_sell_weight == 0 &&
           lists_->diversity == 0 && lists_->max_per_category == 0 && lists_->max_per_brand == 0;
  }

  // Candidates of one strategy. More than are shown, where blending, caps and diversity choose among them; else only those, and what has
  // the last one's score, which stands before it by its id.
  void Collect(const Strategy& strategy) {
    const bool keeps_bought = strategy.kind == StrategyKind::kBuyAgain;
    const auto run = [&](size_t depth) {
      RunStrategy(strategy, context_, depth, [&](absl::string_view id, ItemIndex index) { return MayShow(id, index, keeps_bought); },
                  scratch_.strategy, &scratch_.candidates);
    };
    const size_t deep = 4 * count_ + 40;
    if (!KeepsItsOrder()) return run(deep);
    run(count_ + 1);
    const std::vector<ListCandidate>& found = scratch_.candidates;
    const auto share = [&found](size_t at) { return found[at].score / found.front().score; };
    if (found.size() > count_ && share(count_) == share(count_ - 1)) run(deep);
  }

  Blended& BlendedOf(const ListCandidate& candidate, bool is_fallback) {
    const size_t next = scratch_.blended.size();
    const auto [at, is_new] = candidate.index != kNoItem ? Place(scratch_.by_index.try_emplace(candidate.index, next))
                                                         : Place(scratch_.by_id.try_emplace(candidate.id, next));
    if (is_new) scratch_.blended.push_back({candidate, 0, 0, nullptr, is_fallback, false});
    return scratch_.blended[at];
  }
  template <typename Emplaced>
  static std::pair<size_t, bool> Place(const Emplaced& emplaced) {
    return {emplaced.first->second, emplaced.second};
  }

  void Ask(const Strategy& strategy, bool is_fallback) {
    NoteTable(strategy);
    Collect(strategy);
    if (scratch_.candidates.empty()) return;
    const double largest = scratch_.candidates.front().score;
    for (size_t rank = 0; rank < scratch_.candidates.size(); ++rank) {
      const ListCandidate& candidate = scratch_.candidates[rank];
      if (!(candidate.score > 0)) break;
      const double part = strategy.weight * (lists_->by_reciprocal_rank ? 1 / (kReciprocalRankOffset + static_cast<double>(rank + 1))
                                                                         : candidate.score / largest);
      Blended& blended = BlendedOf(candidate, is_fallback);
      blended.score += part;
      if (blended.strategy == nullptr || part > blended.best_part) {
        blended.best_part = part;
        blended.strategy = &strategy;
        blended.candidate.table_item = candidate.table_item;
      }
    }
  }

  const Item* ItemOf(const ListCandidate& candidate) const {
    return candidate.index == kNoItem ? nullptr : state_.catalogue.ItemAt(candidate.index).item.get();
  }

  // Margin and up-sell raise a score; they never bring in what no strategy named.
  void AddBusinessValue(size_t first) {
    for (size_t i = first; i < scratch_.blended.size(); ++i) {
      Blended& blended = scratch_.blended[i];
      const Item* item = ItemOf(blended.candidate);
      if (item == nullptr) continue;
      if (request_.call == ListCall::kCrossSell || request_.call == ListCall::kSimilarItems) blended.is_up_sell = IsUpSell(blended, *item);
      if (lists_->margin_weight > 0 && item->price_micros > 0) {
        const double margin = 1 - static_cast<double>(item->cost_micros) / static_cast<double>(item->price_micros);
        blended.score *= 1 + lists_->margin_weight * std::max(0.0, margin);
      }
      if (blended.is_up_sell) blended.score *= 1 + lists_->up_sell_weight;
    }
  }

  // Same category as something in the cart and dearer, named by a strategy that goes by likeness.
  bool IsUpSell(const Blended& blended, const Item& item) const {
    const StrategyKind kind = blended.strategy->kind;
    if (kind != StrategyKind::kNeighbours && kind != StrategyKind::kContent && kind != StrategyKind::kSessions) return false;
    const NameIndex category = state_.catalogue.ItemAt(blended.candidate.index).category;
    if (category == kNoName) return false;
    for (const ListSeed& seed : context_.seeds) {
      if (seed.index == kNoItem) continue;
      const CatalogueItem& line = state_.catalogue.ItemAt(seed.index);
      if (line.item != nullptr && line.category == category && item.price_micros > line.item->price_micros) return true;
    }
    return false;
  }

  double Resemblance(const Blended& a, const Blended& b) const {
    if (a.candidate.index == kNoItem || b.candidate.index == kNoItem) return 0;
    const CatalogueItem& x = state_.catalogue.ItemAt(a.candidate.index);
    const CatalogueItem& y = state_.catalogue.ItemAt(b.candidate.index);
    return (x.category != kNoName && x.category == y.category ? 0.5 : 0) + (x.brand != kNoName && x.brand == y.brand ? 0.5 : 0);
  }

  bool IsCapped(const Blended& blended) const {
    if ((lists_->max_per_category == 0 && lists_->max_per_brand == 0) || blended.candidate.index == kNoItem) return false;
    const CatalogueItem& item = state_.catalogue.ItemAt(blended.candidate.index);
    int of_category = 0, of_brand = 0;
    for (const Blended* chosen : chosen_) {
      if (chosen->candidate.index == kNoItem) continue;
      const CatalogueItem& other = state_.catalogue.ItemAt(chosen->candidate.index);
      of_category += item.category != kNoName && item.category == other.category;
      of_brand += item.brand != kNoName && item.brand == other.brand;
    }
    return (lists_->max_per_category > 0 && of_category >= lists_->max_per_category) ||
           (lists_->max_per_brand > 0 && of_brand >= lists_->max_per_brand);
  }

  // The best that is left, by score less what resembles those already chosen; ties by id.
  void Select() {
    std::vector<const Blended*> open;
    double largest = 0;
    for (const Blended& blended : scratch_.blended) {
      if (IsChosen(blended.candidate.id)) continue;
      open.push_back(&blended);
      largest = std::max(largest, blended.score);
    }
    std::sort(open.begin(), open.end(), [](const Blended* a, const Blended* b) {
      return a->score != b->score ? a->score > b->score : a->candidate.id < b->candidate.id;
    });
    std::vector<double> nearest(open.size(), 0);
    const double diversity = lists_->diversity;
    while (answer_.entries.size() < count_) {
      size_t best = open.size();
      double best_value = 0;
      for (size_t i = 0; i < open.size(); ++i) {
        if (open[i] == nullptr) continue;
        const double value = (1 - diversity) * open[i]->score / largest - diversity * nearest[i];
        if (best != open.size() && value <= best_value) {
          if (diversity == 0) break;  // in order: nothing better follows
          continue;
        }
        if (IsCapped(*open[i])) continue;
        best = i;
        best_value = value;
        if (diversity == 0) break;
      }
      if (best == open.size()) return;
      Choose(*open[best]);
      if (diversity > 0) {
        for (size_t i = 0; i < open.size(); ++i) {
          if (open[i] != nullptr) nearest[i] = std::max(nearest[i], Resemblance(*open[i], *open[best]));
        }
      }
      open[best] = nullptr;
    }
  }

  bool IsChosen(absl::string_view id) const {
    return std::any_of(answer_.entries.begin(), answer_.entries.end(), [id](const ListEntry& entry) { return entry.item_id == id; });
  }

  void Choose(const Blended& blended) {
    chosen_.push_back(&blended);
    ListEntry entry;
    entry.item_id = std::string(blended.candidate.id);
    entry.score = blended.score;
    entry.strategy = blended.strategy->kind;
    entry.because_item_id = std::string(BecauseOf(*blended.strategy, context_, blended.candidate, scratch_.strategy));
    entry.is_fallback = blended.is_fallback;
    entry.is_up_sell = blended.is_up_sell;
    answer_.entries.push_back(std::move(entry));
  }

  // One after the other, each only for the places still empty, below what stands already.
  void FallBack() {
    for (const Strategy& fallback : lists_->fallbacks) {
      if (answer_.entries.size() >= count_) return;
      const size_t before = answer_.entries.size();
      std::vector<Blended> kept;  // chosen_ points into what is cleared now
      kept.reserve(chosen_.size());
      for (const Blended* chosen : chosen_) kept.push_back(*chosen);
      scratch_.blended = std::move(kept);
      scratch_.by_index.clear();
      scratch_.by_id.clear();
      for (size_t i = 0; i < scratch_.blended.size(); ++i) {
        const ListCandidate& candidate = scratch_.blended[i].candidate;
        if (candidate.index != kNoItem) {
          scratch_.by_index.emplace(candidate.index, i);
        } else {
          scratch_.by_id.emplace(candidate.id, i);
        }
      }
      const size_t first = scratch_.blended.size();
      Ask(fallback, /*is_fallback=*/true);
      AddBusinessValue(first);
      chosen_.clear();
      for (size_t i = 0; i < first; ++i) chosen_.push_back(&scratch_.blended[i]);
      Select();
      if (answer_.entries.size() > before) Note(ListNote::kFallbackUsed);
    }
  }

  const State& state_;
  const ListRequest& request_;
  ListScratch& scratch_;
  ListContext& context_;
  ListAnswer& answer_;
  const Lists* lists_ = nullptr;
  size_t count_ = 0;
  bool hides_bought_ = false;
  std::vector<const Blended*> chosen_;
};

}  // namespace

void ListAnswer::Clear() {
  entries.clear();
  notes.clear();
  unknown_items.clear();
  missing_tables.clear();
  tables.clear();
}

absl::Status AnswerList(const State& state, const ListRequest& request, TimeMicros now, ListScratch& scratch, ListAnswer& answer) {
  answer.Clear();
  return Answerer(state, request, now, scratch, answer).Run();
}

}  // namespace offerd
