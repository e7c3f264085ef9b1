#pragma once
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/decide.h"

namespace offerd {

// The candidates of one decision: found, past the gate, each once, and their orders, all in the scratch. A part of Decide.
//
// Threads  As Decide.
class CandidateRows {
 public:
  // What is excluded, unknown or named twice goes into `decision`, with its notes.
  CandidateRows(const State& state, const RankRequest& request, const GateContext& gate, DecideScratch& scratch, Decision& decision);

  // scratch.rows: what the request names, in its order, or all live offers of the placement's campaigns by id.
  void Gather(const Placement& placement);
  // scratch.tie_rank[i] = place of row i among the rows by id.
  void RankByIds();
  // scratch.fixed_rank, and each row's fixed_rate: offers that the fixed policy names first, then by population rate, then by id. Null:
  // it names none. After RankByIds; scratch.order has the rows in that order.
  void RankByFixedOrder(const PolicyState* rules);
  // The kMaxCandidates best by the fixed order, ranked again. After RankByFixedOrder.
  void KeepBest(const PolicyState* rules);

  absl::string_view IdOf(const DecideScratch::Row& row) const;

 private:
  void Add(const DecideScratch::Row& row);
  bool IsFirstMention(OfferIndex index);
  void StartMentions();
  void AddNamed(OfferIndex index, int32_t position, const RankRequest::Candidate& candidate);
  bool FindNamedOffers();
  bool FindOfferKeys();
  void GatherLiveOffers(const Placement& placement);
  bool IdLess(int32_t a, int32_t b) const;
  void OrderByIdRank();

  const State& state_;
  const RankRequest& request_;
  const GateContext& gate_;
  const bool is_plain_gate_;
  DecideScratch& scratch_;
  Decision& decision_;
};

}  // namespace offerd
