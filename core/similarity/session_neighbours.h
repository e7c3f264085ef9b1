#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/similarity/baskets.h"
#include "core/similarity/best_of.h"

namespace offerd {

// One recommended item.
struct ScoredItem {
  TableItem item = 0;
  double score = 0;
  friend bool operator==(const ScoredItem&, const ScoredItem&) = default;
};

struct SessionIndexOptions {
  size_t sessions_per_item = 500;  // m: the most recent sessions an item remembers, >= 1
  // Sessions with more distinct items than this quantile of all sessions' are left out; 1 = none.
  double length_quantile = 0.995;
};

// What is asked of the index.
struct SessionQueryOptions {
  size_t neighbours = 50;     // k: sessions that vote, >= 1
  size_t last_items = 2;      // only so many last clicks of the session are read, >= 1; at most 1,000
  double idf_weight = 1;      // of ln(distinct session-item pairs / sessions with the item); 0 = none
  bool keep_current = false;  // may the answer hold the session's current (last) item?
  size_t count = 20;          // items wanted
};

// A SessionIndex as flat arrays, as they lie in memory and in a mapped artefact. Sessions are numbered by recency: 0 is
// the most recent one that an item remembers.
//
// Threads  Immutable bytes owned by somebody else (SessionIndex, a mapped file): safe to share while the owner lives.
struct SessionIndexView {
  uint64_t sessions_per_item = 0;              // m
  absl::Span<const uint64_t> item_offsets;     // num_items + 1
  absl::Span<const uint32_t> item_sessions;    // of each item, ascending
  absl::Span<const uint64_t> session_offsets;  // num_sessions + 1
  absl::Span<const TableItem> session_items;   // of each session, distinct
  absl::Span<const double> idf;                // num_items

  size_t num_items() const { return item_offsets.empty() ? 0 : item_offsets.size() - 1; }
  size_t num_sessions() const { return session_offsets.empty() ? 0 : session_offsets.size() - 1; }
};

// Work space of one thread; grows to the largest index it was used with: a query allocates nothing after the first.
class SessionScratch {
 private:
  friend class SessionQuery;
  struct Before {
    bool operator()(const ScoredItem& a, const ScoredItem& b) const {
      return a.score != b.score ? a.score > b.score : a.item < b.item;
    }
  };
  // Two of the lists have one place more than they can need: the next entry is written before it is known to be new.
  std::vector<uint32_t> matches_;           // by session, 0 between queries: see session_neighbours.cc
  std::vector<uint32_t> matched_sessions_;  // those that are not 0
  std::vector<uint64_t> neighbours_;
  std::vector<double> votes_;           // by item, 0 between queries
  std::vector<TableItem> voted_items_;  // those that are not 0
  BestOf<ScoredItem, Before> best_;
};

// Items for a session whose clicks are given in order of time, the current one last. Unknown items (>= num_items) match
// nothing; an empty session gets an empty answer. Sorted by score, then number.
//
// Source   Kersbergen, Sprangers, Schelter, SIGMOD 2022, "Serenade: Low-Latency Session-Based Recommendation in
//          e-Commerce at Scale", algorithm 2 (VMIS-kNN). Of the sessions that hold one of the last clicked items, the m
//          most recent are looked at. A click at place p of the window (from 1) counts p; of an item clicked twice the
//          last click does. A session's similarity is the sum over its items, divided by the distinct items of the
//          window. The k most similar sessions, the more recent at ties, vote for each of their items with
//          similarity x (1 - d / 10): d is 1 if they hold the current item, else 2 if the one before it, and so on;
//          nothing from 10 on. Score: votes x idf.
// Cost     About last_items x m. Whole numbers until the idf comes in, so that ties are ties.
void RecommendNext(const SessionIndexView& index, absl::Span<const TableItem> session,
                   const SessionQueryOptions& options, SessionScratch& scratch, std::vector<ScoredItem>* answer);

// Past sessions by item, for next-item recommendation in running sessions.
//
// Units    Recency of a session is its own last click; ties of recency by session number, the later one first.
// Shapes   For each item up to m sessions, most recent first; for each session an item remembers, its distinct items.
// Threads  Immutable once built: any number of readers, each with its own Scratch.
class SessionIndex {
 public:
  using Scratch = SessionScratch;

  // last_click: one time a session, any unit. Errors: InvalidArgument names what is wrong.
  static absl::StatusOr<SessionIndex> Build(const Baskets& sessions, absl::Span<const int64_t> last_click,
                                            const SessionIndexOptions& options);

  void Recommend(absl::Span<const TableItem> session, const SessionQueryOptions& options, Scratch& scratch,
                 std::vector<ScoredItem>* answer) const {
    RecommendNext(view(), session, options, scratch, answer);
  }

  SessionIndexView view() const {
    return {sessions_per_item_, item_offsets_, item_sessions_, session_offsets_, session_items_, idf_};
  }
  size_t num_items() const { return view().num_items(); }
  size_t num_sessions() const { return view().num_sessions(); }    // that an item remembers
  size_t sessions_too_long() const { return sessions_too_long_; }  // left out
  uint64_t size_bytes() const;

 private:
  SessionIndex() = default;
  void Remember(const Baskets& sessions, absl::Span<const uint32_t> by_recency);

  uint64_t sessions_per_item_ = 0;
  size_t sessions_too_long_ = 0;
  std::vector<uint64_t> item_offsets_;
  std::vector<uint32_t> item_sessions_;
  std::vector<uint64_t> session_offsets_;
  std::vector<TableItem> session_items_;
  std::vector<double> idf_;
};

}  // namespace offerd
