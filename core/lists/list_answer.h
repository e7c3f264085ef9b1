#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "core/learn/state.h"
#include "core/lists/strategies.h"
#include "core/records.h"
#include "core/types.h"

namespace offerd {

// A list request as core sees it; all strings belong to the caller and have passed the edge.
struct ListRequest {
  ListCall call = ListCall::kCrossSell;
  absl::string_view placement;
  absl::string_view market;
  absl::string_view customer_id;
  std::vector<absl::string_view> items;     // the cart; the one item; the session, oldest first
  std::vector<absl::string_view> excluded;
  int count = 0;  // 0 = the placement's slate size
  Consent consent = Consent::kUnspecified;
};

// Numbers are those of offerd.v1.ItemList.Note.
enum class ListNote : uint8_t {
  kUnspecified, kUnknownCustomer, kUnknownItems, kFewerThanAsked, kCountCoerced, kAsOfIgnored, kTableMissing, kFallbackUsed,
  kConsentDenied, kSessionCut
};

struct ListEntry {
  std::string item_id;
  double score = 0;
  StrategyKind strategy = StrategyKind::kUnspecified;
  std::string because_item_id;
  bool is_fallback = false;
  bool is_up_sell = false;
};

struct ListAnswer {
  std::vector<ListEntry> entries;
  std::vector<ListNote> notes;
  std::vector<std::string> unknown_items;
  std::vector<std::string> missing_tables;
  std::vector<TablePublished> tables;  // read, by name

  void Clear();
};

// Memory of AnswerList, reused. One per thread.
struct ListScratch {
  struct Blended {
    ListCandidate candidate;
    double score = 0;          // of the blend so far
    double best_part = 0;      // what the strategy below added
    const Strategy* strategy = nullptr;
    bool is_fallback = false;
    bool is_up_sell = false;
  };
  StrategyScratch strategy;
  ListContext context;
  std::vector<ListCandidate> candidates;
  std::vector<Blended> blended;
  absl::flat_hash_map<ItemIndex, size_t> by_index;       // places in `blended`
  absl::flat_hash_map<absl::string_view, size_t> by_id;  // of those known to a table alone
  absl::flat_hash_set<absl::string_view> hidden;         // the cart, the excluded
};

// The items to show: every strategy of the placement asked, their scores blended, business value and diversity applied, and
// fallbacks asked in turn while the list is short. Pure: the same arguments give the same bytes.
//
// Source   design.md section 3 (CrossSell). Reciprocal rank: Cormack, Clarke, Buettcher, SIGIR 2009, k = 60. Diversity: Carbonell,
//          Goldstein, SIGIR 1998 (maximal marginal relevance); two items resemble each other by half for the same category and half
//          for the same brand.
// Errors   NotFound: unknown placement. FailedPrecondition: it has no lists. Everything else is an answer with notes.
absl::Status AnswerList(const State& state, const ListRequest& request, TimeMicros now, ListScratch& scratch, ListAnswer& answer);

}  // namespace offerd
