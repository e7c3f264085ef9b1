#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "core/learn/state.h"
#include "core/lists/remembered_numbers.h"
#include "core/records.h"
#include "core/similarity/cart_scorer.h"
#include "core/similarity/session_neighbours.h"
#include "core/types.h"

namespace offerd {

enum class ListCall : uint8_t { kCrossSell, kSimilarItems, kRecommendItems, kRecommendNext };

// An item that a request names.
struct ListSeed {
  absl::string_view id;
  ItemIndex index = kNoItem;  // kNoItem: the state has never heard of it
};

// What the customer did with an item, newer and stronger acts counting more.
struct HistoryItem {
  ItemIndex index{};
  double weight = 0;
  TimeMicros last = 0;
  TimeMicros first = 0;
  uint32_t purchases = 0;   // visits that held it
  double decayed_purchases = 0;
};

// What every strategy of one request reads. Reused between requests.
struct ListContext {
  const State* state = nullptr;
  const Lists* lists = nullptr;
  ListCall call = ListCall::kCrossSell;
  TimeMicros now = 0;
  absl::string_view market;
  const Profile* profile = nullptr;   // null: nobody known, or consent denied
  std::vector<ListSeed> seeds;        // the cart; the one item; the session, oldest first
  std::vector<HistoryItem> history;   // by item number
};

// Fills context.history from the profile: purchases of the kept visits and the kept views, each weight x 2^(-age / half-life).
void CollectHistory(ListContext& context);

struct ListCandidate {
  absl::string_view id;       // lives as long as the state
  ItemIndex index = kNoItem;  // kNoItem: known to a table alone
  double score = 0;           // > 0, of the strategy
  TableItem table_item = 0;   // of the strategy's table, where it reads one
};

struct StrategyScratch {
  RememberedNumbers numbers;
  CartScorer cart;
  SessionScratch sessions;
  const Strategy* lines_of = nullptr;  // whose `lines` these are, in this request; null: nobody's
  std::vector<CartLine> lines;
  std::vector<TableItem> session;
  std::vector<ScoredItem> scored;
  absl::flat_hash_map<ItemIndex, double> content;
};

// The table a strategy reads: NAME.MARKET where that is published, else NAME. Null: none is published, or its bytes are missing.
const ListTable* FindTable(const State& state, absl::string_view name, absl::string_view market);

// What one strategy offers: at most `count` candidates that may be shown, best first, ties as the strategy's own order says.
// Strategies without what they need (a table, a cart, a history) offer nothing.
void RunStrategy(const Strategy& strategy, const ListContext& context, size_t count,
                 absl::FunctionRef<bool(absl::string_view id, ItemIndex index)> may_show, StrategyScratch& scratch,
                 std::vector<ListCandidate>* candidates);

// The item of the cart, the session or the history that led most to an item; empty where nothing did.
absl::string_view BecauseOf(const Strategy& strategy, const ListContext& context, const ListCandidate& candidate, StrategyScratch& scratch);

}  // namespace offerd
