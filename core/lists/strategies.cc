#include "core/lists/strategies.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace offerd {
namespace {

using MayShow = absl::FunctionRef<bool(absl::string_view, ItemIndex)>;
using Candidates = std::vector<ListCandidate>;

constexpr double kDefaultEventWeights[kNumEventKinds] = {0, 0, 0.25, 0.5, 1, 0, 0, 0.25, 0.1, 0.5};
constexpr size_t kMaxMembers = 4096;   // of one category or brand that CONTENT looks at: those that came last
constexpr double kTrendPrior = 2;      // orders: a first sale is no trend
constexpr double kMostTrend = 4;

bool IsBetter(const ListCandidate& a, const ListCandidate& b) { return a.score != b.score ? a.score > b.score : a.index < b.index; }

void KeepBest(size_t count, Candidates* candidates) {
  std::sort(candidates->begin(), candidates->end(), IsBetter);
  if (candidates->size() > count) candidates->resize(count);
}

absl::string_view IdOf(const ListContext& context, ItemIndex index) { return context.state->catalogue.ItemAt(index).id.value(); }

// The items a table is asked about, with their weights, into scratch.lines; found once a request where the strategy stays the same.
void FillLines(const Strategy& strategy, const ListContext& context, const ItemIdsView& ids, StrategyScratch& scratch) {
  if (scratch.lines_of == &strategy) return;
  scratch.lines_of = &strategy;
  std::vector<CartLine>* lines = &scratch.lines;
  lines->clear();
  if (strategy.kind == StrategyKind::kHistory) {
    for (const HistoryItem& item : context.history) {
      if (item.weight <= 0) continue;
      if (const auto number = ids.Find(IdOf(context, item.index))) lines->push_back({*number, static_cast<float>(item.weight)});
    }
    return;
  }
  // The rows of a session's current item were the best of its items' (docs/quality.md).
  const bool only_last = context.call == ListCall::kRecommendNext && !context.seeds.empty();
  for (const ListSeed& seed : only_last ? absl::MakeConstSpan(&context.seeds.back(), 1) : absl::MakeConstSpan(context.seeds)) {
    if (const auto number = ids.Find(seed.id)) lines->push_back({*number, 1});
  }
}

// Takes what may be shown from scratch.scored, a list of table items.
void Keep(const ListContext& context, const ListTable& table, MayShow may_show, size_t count, StrategyScratch& scratch, Candidates* candidates) {
  candidates->clear();
  std::vector<ItemIndex>& numbers = scratch.numbers.Of(table);
  for (const ScoredItem& item : scratch.scored) {
    if (candidates->size() == count) return;
    if (item.score <= 0) return;
    const absl::string_view id = table.ids.IdOf(item.item);
    const ItemIndex index = FindNumber(context.state->catalogue, id, numbers[item.item]);
    if (may_show(id, index)) candidates->push_back({id, index, item.score, item.item});
  }
}

// All that was added up: what a customer looked at may be what they want, so the history's own items stay in.
void TopOfHistory(StrategyScratch& scratch) {
  scratch.scored.clear();
  for (const TableItem item : scratch.cart.touched()) scratch.scored.push_back({item, static_cast<double>(scratch.cart.score(item))});
  std::sort(scratch.scored.begin(), scratch.scored.end(),
            [](const ScoredItem& a, const ScoredItem& b) { return a.score != b.score ? a.score > b.score : a.item < b.item; });
}

void Neighbours(const Strategy& strategy, const ListContext& context, const ListTable& table, size_t count, MayShow may_show,
                StrategyScratch& scratch, Candidates* candidates) {
  FillLines(strategy, context, table.ids, scratch);
  if (scratch.lines.empty()) return;
  scratch.cart.Accumulate(table.rows, scratch.lines);
  if (strategy.kind == StrategyKind::kHistory) {
    TopOfHistory(scratch);
    return Keep(context, table, may_show, count, scratch, candidates);
  }
  // What may not be shown is rare: ask for a few more, and for many more only where they were not enough.
  for (size_t wanted = count + count / 2 + 8;; wanted *= 4) {
    scratch.cart.Top(wanted, {}, &scratch.scored);
    Keep(context, table, may_show, count, scratch, candidates);
    if (candidates->size() == count || scratch.scored.size() < wanted) return;
  }
}

void Sessions(const ListContext& context, const ListTable& table, size_t count, MayShow may_show, StrategyScratch& scratch,
              Candidates* candidates) {
  scratch.session.clear();
  for (const ListSeed& seed : context.seeds) {
    if (const auto number = table.ids.Find(seed.id)) scratch.session.push_back(*number);
  }
  if (scratch.session.empty()) return;
  SessionQueryOptions query = table.query;
  for (query.count = count + count / 2 + 8;; query.count *= 4) {
    RecommendNext(table.sessions, scratch.session, query, scratch.sessions, &scratch.scored);
    Keep(context, table, may_show, count, scratch, candidates);
    if (candidates->size() == count || scratch.scored.size() < query.count) return;
  }
}

double SharedAttributes(const Item& a, const Item& b) {
  if (a.attributes.empty()) return 0;
  size_t shared = 0;
  for (const NamedValue& x : a.attributes) {
    for (const NamedValue& y : b.attributes) {
      if (x.name == y.name && x.is_text == y.is_text && x.number == y.number && x.text == y.text) {
        ++shared;
        break;
      }
    }
  }
  return static_cast<double>(shared) / static_cast<double>(std::max(a.attributes.size(), b.attributes.size()));
}

// How much a resembles b: 1 for the category, a half for the brand, up to a half for attributes that are the same.
double Likeness(const CatalogueItem& a, const CatalogueItem& b) {
  double likeness = 0;
  if (a.category != kNoName && a.category == b.category) likeness += 1;
  if (a.brand != kNoName && a.brand == b.brand) likeness += 0.5;
  if (a.item != nullptr && b.item != nullptr) likeness += 0.5 * SharedAttributes(*a.item, *b.item);
  return likeness;
}

void Content(const ListContext& context, size_t count, MayShow may_show, StrategyScratch& scratch, Candidates* candidates) {
  const Catalogue& catalogue = context.state->catalogue;
  std::vector<std::pair<ItemIndex, double>> seeds;
  for (const ListSeed& seed : context.seeds) {
    if (seed.index != kNoItem) seeds.emplace_back(seed.index, 1);
  }
  if (seeds.empty()) {
    for (const HistoryItem& item : context.history) {
      if (item.weight > 0) seeds.emplace_back(item.index, item.weight);
    }
    std::sort(seeds.begin(), seeds.end(), [](const auto& a, const auto& b) { return a.second != b.second ? a.second > b.second : a.first < b.first; });
    if (seeds.size() > 10) seeds.resize(10);
  }
  scratch.content.clear();
  for (const auto& [seed, weight] : seeds) {
    const CatalogueItem& entry = catalogue.ItemAt(seed);
    const std::vector<ItemIndex>* before = nullptr;
    for (const NameIndex name : {entry.category, entry.brand}) {
      const std::vector<ItemIndex>& members = catalogue.Members(name);
      const size_t first = members.size() > kMaxMembers ? members.size() - kMaxMembers : 0;
      for (size_t i = first; i < members.size(); ++i) {
        // One that the category's list held already is not counted again by the brand's.
        if (before != nullptr && catalogue.ItemAt(members[i]).category == entry.category) continue;
        scratch.content[members[i]] += weight * Likeness(entry, catalogue.ItemAt(members[i]));
      }
      if (entry.category != kNoName) before = &members;
    }
  }
  // Among equals what sells more stands first: by less than any difference in likeness.
  const ItemDemand::Market& demand = context.state->demand.Of(context.market);
  const int64_t day = DayOf(context.now);
  for (const auto& [index, likeness] : scratch.content) {
    const absl::string_view id = IdOf(context, index);
    if (!may_show(id, index)) continue;
    const DayCount* sold = demand.items.Find(static_cast<size_t>(index));
    const double orders = sold == nullptr ? 0 : sold->Slow(day);
    candidates->push_back({id, index, likeness + 0.01 * orders / (orders + 10)});
  }
  KeepBest(count, candidates);
}

// The mean age of what a half-life leaves of a steady stream.
double MeanAge(double half_life_days) { return half_life_days / std::log(2.0); }

// The best of some candidates by number that may be shown, their ids filled in.
void KeepBestShown(const ListContext& context, size_t count, MayShow may_show, Candidates* candidates) {
  std::sort(candidates->begin(), candidates->end(), IsBetter);
  size_t kept = 0;
  for (size_t i = 0; i < candidates->size() && kept < count; ++i) {
    ListCandidate candidate = (*candidates)[i];
    candidate.id = IdOf(context, candidate.index);
    if (may_show(candidate.id, candidate.index)) (*candidates)[kept++] = candidate;
  }
  candidates->resize(kept);
}

// Share of orders, times what weekday and time of year make of it.
void Popular(const ListContext& context, size_t count, MayShow may_show, Candidates* candidates) {
  const ItemDemand::Market& demand = context.state->demand.Of(context.market);
  const int64_t day = DayOf(context.now);
  const double orders = demand.orders.Slow(day);
  if (orders <= 0) return;
  const Season season(demand.order_seasons, day, MeanAge(kSlowHalfLifeDays));
  for (const ItemDemand::Wanted& wanted : demand.slow) {
    const auto item = static_cast<size_t>(wanted.item);
    candidates->push_back({{}, wanted.item, demand.items[item].Slow(day) / orders * season.Factor(demand.item_seasons[item])});
  }
  KeepBestShown(context, count, may_show, candidates);
}

// Rate of the last days, times how much it has risen over that of the last weeks, and what weekday and time of year make of it.
void Trending(const ListContext& context, size_t count, MayShow may_show, Candidates* candidates) {
  const ItemDemand::Market& demand = context.state->demand.Of(context.market);
  const int64_t day = DayOf(context.now);
  const double slow = demand.orders.Slow(day);
  const double fast = demand.orders.Fast(day);
  if (slow <= 0 || fast <= 0) return;
  const Season season(demand.order_seasons, day, MeanAge(kFastHalfLifeDays));
  for (const ItemDemand::Wanted& wanted : demand.fast) {
    const auto item = static_cast<size_t>(wanted.item);
    const DayCount& sold = demand.items[item];
    const double rate = sold.Fast(day) / fast;
    const double usual = (sold.Slow(day) + kTrendPrior) / slow;
    const double score = rate * std::min(kMostTrend, rate / usual);
    candidates->push_back({{}, wanted.item, score * season.Factor(demand.item_seasons[item])});
  }
  KeepBestShown(context, count, may_show, candidates);
}

void RecentlyViewed(const ListContext& context, size_t count, MayShow may_show, Candidates* candidates) {
  if (context.profile == nullptr) return;
  const auto interests = context.profile->interests();
  for (size_t i = interests.size(); i-- > 0 && candidates->size() < count;) {
    const ItemIndex index = interests[i].item;
    const auto is_same = [index](const ListCandidate& candidate) { return candidate.index == index; };
    if (std::any_of(candidates->begin(), candidates->end(), is_same)) continue;
    const absl::string_view id = IdOf(context, index);
    if (may_show(id, index)) candidates->push_back({id, index, 1.0 / (1.0 + static_cast<double>(candidates->size()))});
  }
}

// Own purchases, fading, times how due the item is by its own interval: 0 just after it was bought, 1 once the mean gap is over.
// With one purchase the gap is unknown: a half. Whoever fills a cart is buying now: there all count in full, as docs/quality.md
// measured it.
void BuyAgain(const ListContext& context, size_t count, MayShow may_show, Candidates* candidates) {
  for (const HistoryItem& item : context.history) {
    if (item.purchases == 0) continue;
    double due = context.call == ListCall::kCrossSell ? 1 : 0.5;
    if (due < 1 && item.purchases > 1) {
      const double gap = std::max<double>(kMicrosPerDay, static_cast<double>(item.last - item.first) / (item.purchases - 1));
      due = std::clamp(static_cast<double>(context.now - item.last) / gap, 0.0, 1.0);
    }
    const absl::string_view id = IdOf(context, item.index);
    const double score = item.decayed_purchases * due;
    if (score > 0 && may_show(id, item.index)) candidates->push_back({id, item.index, score});
  }
  KeepBest(count, candidates);
}

void NewArrivals(const ListContext& context, size_t count, MayShow may_show, Candidates* candidates) {
  const auto& arrivals = context.state->catalogue.arrivals();
  for (size_t i = 0; i < arrivals.size() && candidates->size() < count; ++i) {
    const absl::string_view id = IdOf(context, arrivals[i]);
    if (may_show(id, arrivals[i])) {
      candidates->push_back({id, arrivals[i], 1 - static_cast<double>(i) / static_cast<double>(Catalogue::kMaxArrivals)});
    }
  }
}

float ScoreOf(const ItemTableView& rows, TableItem from, TableItem to) {
  const auto neighbours = rows.Neighbours(from);
  const auto at = std::find(neighbours.begin(), neighbours.end(), to);
  return at == neighbours.end() ? 0 : rows.Scores(from)[static_cast<size_t>(at - neighbours.begin())];
}

}  // namespace

void CollectHistory(ListContext& context) {
  context.history.clear();
  if (context.profile == nullptr) return;
  const double* weights = context.lists->has_event_weights ? context.lists->event_weights : kDefaultEventWeights;
  const double half_life = context.lists->history_half_life_days;
  const Profile& profile = *context.profile;
  size_t at = 0;
  for (const Profile::Visit& visit : profile.visits()) {
    const double fresh = Decay(visit.time, context.now, half_life);
    const double weight = weights[static_cast<size_t>(EventKind::kPurchase)] * fresh;
    for (const ItemIndex item : profile.items().subspan(at, visit.num_items)) {
      context.history.push_back({item, weight, visit.time, visit.time, 1, fresh});
    }
    at += visit.num_items;
  }
  for (const Profile::Interest& interest : profile.interests()) {
    const double weight = weights[static_cast<size_t>(interest.kind)] * Decay(interest.time, context.now, half_life);
    context.history.push_back({interest.item, weight, interest.time, interest.time, 0, 0});
  }
  // One entry an item; dates are those of purchases where there are any.
  std::stable_sort(context.history.begin(), context.history.end(), [](const HistoryItem& a, const HistoryItem& b) { return a.index < b.index; });
  size_t kept = 0;
  for (size_t i = 0; i < context.history.size(); ++i) {
    const HistoryItem item = context.history[i];
    if (kept == 0 || context.history[kept - 1].index != item.index) {
      context.history[kept++] = item;
      continue;
    }
    HistoryItem& sum = context.history[kept - 1];
    if (item.purchases > 0) {
      sum.first = sum.purchases == 0 ? item.first : std::min(sum.first, item.first);
      sum.last = sum.purchases == 0 ? item.last : std::max(sum.last, item.last);
    }
    sum.weight += item.weight;
    sum.purchases += item.purchases;
    sum.decayed_purchases += item.decayed_purchases;
  }
  context.history.resize(kept);
}

const ListTable* FindTable(const State& state, absl::string_view name, absl::string_view market) {
  const TableState* found = market.empty() ? nullptr : state.tables.Find(MarketTableName(name, market));
  if (found == nullptr) found = state.tables.Find(name);
  return found == nullptr ? nullptr : found->table.get();
}

void RunStrategy(const Strategy& strategy, const ListContext& context, size_t count, MayShow may_show, StrategyScratch& scratch,
                 Candidates* candidates) {
  candidates->clear();
  switch (strategy.kind) {
    case StrategyKind::kNeighbours:
    case StrategyKind::kHistory:
    case StrategyKind::kSessions: {
      const ListTable* table = FindTable(*context.state, strategy.table, context.market);
      if (table == nullptr) return;
      if (strategy.kind == StrategyKind::kSessions && table->has_sessions()) {
        Sessions(context, *table, count, may_show, scratch, candidates);
      } else if (strategy.kind != StrategyKind::kSessions && !table->has_sessions()) {
        Neighbours(strategy, context, *table, count, may_show, scratch, candidates);
      }
      return;
    }
    case StrategyKind::kContent: return Content(context, count, may_show, scratch, candidates);
    case StrategyKind::kPopular: return Popular(context, count, may_show, candidates);
    case StrategyKind::kTrending: return Trending(context, count, may_show, candidates);
    case StrategyKind::kRecentlyViewed: return RecentlyViewed(context, count, may_show, candidates);
    case StrategyKind::kBuyAgain: return BuyAgain(context, count, may_show, candidates);
    case StrategyKind::kNewArrivals: return NewArrivals(context, count, may_show, candidates);
    case StrategyKind::kUnspecified: return;
  }
}

absl::string_view BecauseOf(const Strategy& strategy, const ListContext& context, const ListCandidate& candidate, StrategyScratch& scratch) {
  absl::string_view because;
  double most = 0;
  const auto offer = [&](absl::string_view id, double part) {
    if (part <= most) return;
    most = part;
    because = id;
  };
  const CatalogueItem* entry = candidate.index == kNoItem ? nullptr : &context.state->catalogue.ItemAt(candidate.index);
  switch (strategy.kind) {
    case StrategyKind::kNeighbours:
    case StrategyKind::kHistory: {
      const ListTable* table = FindTable(*context.state, strategy.table, context.market);
      if (table == nullptr) break;
      FillLines(strategy, context, table->ids, scratch);
      for (const CartLine& line : scratch.lines) {
        offer(table->ids.IdOf(line.item), line.weight * ScoreOf(table->rows, line.item, candidate.table_item));
      }
      break;
    }
    case StrategyKind::kSessions: return context.seeds.empty() ? absl::string_view() : context.seeds.back().id;
    case StrategyKind::kContent:
      if (entry == nullptr) break;
      for (const ListSeed& seed : context.seeds) {
        if (seed.index != kNoItem) offer(seed.id, Likeness(context.state->catalogue.ItemAt(seed.index), *entry));
      }
      if (!context.seeds.empty()) break;
      for (const HistoryItem& item : context.history) {
        offer(IdOf(context, item.index), item.weight * Likeness(context.state->catalogue.ItemAt(item.index), *entry));
      }
      break;
    case StrategyKind::kBuyAgain:
    case StrategyKind::kRecentlyViewed: return candidate.id;
    default: break;
  }
  return because;
}

}  // namespace offerd
