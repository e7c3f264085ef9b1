#include "core/candidate_rows.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "core/candidates/gate.h"
#include "core/features/population.h"

namespace offerd {
namespace {

constexpr size_t kAhead = 16;  // look-ups whose memory is on its way

void InvertInto(absl::Span<const int32_t> order, std::vector<int32_t>& rank) {
  rank.resize(order.size());
  for (size_t place = 0; place < order.size(); ++place) rank[static_cast<size_t>(order[place])] = static_cast<int32_t>(place);
}

}  // namespace

CandidateRows::CandidateRows(const State& state, const RankRequest& request, const GateContext& gate, DecideScratch& scratch, Decision& decision)
    : state_(state), request_(request), gate_(gate), is_plain_gate_(gate.IsPlain()), scratch_(scratch), decision_(decision) {}

void CandidateRows::Add(const DecideScratch::Row& row) {
  if (row.offer != nullptr) {
    const Exclusion exclusion = CheckGate(gate_, row.index, is_plain_gate_);
    if (exclusion != Exclusion::kNone) {
      ++decision_.excluded[static_cast<int>(exclusion)];
      return;
    }
  }
  scratch_.rows.push_back(row);
}

// True for the first mention of an offer in this request.
bool CandidateRows::IsFirstMention(OfferIndex index) {
  uint32_t& named_by = scratch_.named_by[static_cast<size_t>(index)];
  return std::exchange(named_by, scratch_.request_number) != scratch_.request_number;
}

void CandidateRows::StartMentions() {
  scratch_.named.clear();
  scratch_.seen.clear();
  scratch_.named_by.resize(state_.catalogue.offer_table().offers.size());
  if (++scratch_.request_number != 0) return;
  std::fill(scratch_.named_by.begin(), scratch_.named_by.end(), 0);
  scratch_.request_number = 1;
}

void CandidateRows::AddNamed(OfferIndex index, int32_t position, const RankRequest::Candidate& candidate) {
  const OfferRow* offer = index == kNoOffer ? nullptr : &state_.catalogue.RowOf(index);
  scratch_.named.push_back({index, offer, position, candidate.offer_id, candidate.facts});
}

// The offers that the request names, each once, in its order. True: one was named again.
bool CandidateRows::FindNamedOffers() {
  bool duplicates = false;
  const auto& candidates = request_.candidates;
  for (size_t i = 0; i < std::min(kAhead, candidates.size()); ++i) state_.catalogue.Prefetch(candidates[i].offer_id);
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (i + kAhead < candidates.size()) state_.catalogue.Prefetch(candidates[i + kAhead].offer_id);
    const RankRequest::Candidate& candidate = request_.candidates[i];
    const OfferIndex index = state_.catalogue.FindOffer(candidate.offer_id);
    if (index == kNoOffer ? scratch_.seen.insert(candidate.offer_id).second : IsFirstMention(index)) {
      AddNamed(index, static_cast<int32_t>(i), candidate);
    } else {
      duplicates = true;
    }
  }
  return duplicates;
}

bool CandidateRows::FindOfferKeys() {
  bool duplicates = false;
  const absl::Span<const uint64_t> keys = request_.offer_keys;
  for (size_t i = 0; i < std::min(kAhead, keys.size()); ++i) state_.catalogue.PrefetchKey(keys[i]);
  for (size_t i = 0; i < keys.size(); ++i) {
    if (i + kAhead < keys.size()) state_.catalogue.PrefetchKey(keys[i + kAhead]);
    const OfferIndex index = state_.catalogue.FindOfferByKey(keys[i]);
    if (index == kNoOffer) {
      decision_.unknown_keys.push_back(static_cast<uint32_t>(i));
    } else if (IsFirstMention(index)) {
      AddNamed(index, static_cast<int32_t>(i), {});
    } else {
      duplicates = true;
    }
  }
  return duplicates;
}

void CandidateRows::GatherLiveOffers(const Placement& placement) {
  const auto& campaigns = placement.campaigns;
  for (const OfferIndex index : state_.catalogue.offer_table().by_id) {
    if (!campaigns.empty()) {
      const std::string& campaign = state_.catalogue.OfferAt(index).offer->campaign;
      if (std::find(campaigns.begin(), campaigns.end(), campaign) == campaigns.end()) continue;
    }
    Add({index, &state_.catalogue.RowOf(index), 0, {}, {}});
  }
}

void CandidateRows::Gather(const Placement& placement) {
  scratch_.rows.clear();
  if (request_.candidates.empty() && request_.offer_keys.empty()) {
    GatherLiveOffers(placement);
    return;
  }
  StartMentions();
  const bool duplicates = request_.offer_keys.empty() ? FindNamedOffers() : FindOfferKeys();
  for (const DecideScratch::Row& row : scratch_.named) {
    if (row.offer == nullptr) decision_.unknown_offers.emplace_back(row.id);
    Add(row);
  }
  if (!decision_.unknown_offers.empty() || !decision_.unknown_keys.empty()) decision_.notes.push_back(DecisionNote::kUnknownOffers);
  if (duplicates) decision_.notes.push_back(DecisionNote::kDuplicateCandidates);
}

absl::string_view CandidateRows::IdOf(const DecideScratch::Row& row) const {
  return row.id.data() != nullptr ? row.id : state_.catalogue.OfferIdOf(row.index);
}

bool CandidateRows::IdLess(int32_t a, int32_t b) const {
  const DecideScratch::Row& x = scratch_.rows[static_cast<size_t>(a)];
  const DecideScratch::Row& y = scratch_.rows[static_cast<size_t>(b)];
  if (x.offer != nullptr && y.offer != nullptr) return x.offer->id_rank < y.offer->id_rank;
  return IdOf(x) < IdOf(y);
}

// The rows in the order of whole numbers of which each row has its own. By one bit each where they are not too far apart.
void CandidateRows::OrderByIdRank() {
  const size_t n = scratch_.rows.size();
  std::vector<int32_t>& order = scratch_.order;
  const auto rank_of = [this](size_t i) { return static_cast<size_t>(scratch_.rows[i].offer->id_rank); };
  const size_t words = state_.catalogue.offer_table().rows.size() / 64 + 1;
  if (words > 8 * n) {
    scratch_.sorted.resize(n);
    for (size_t i = 0; i < n; ++i) scratch_.sorted[i] = uint64_t{rank_of(i)} << 32 | i;
    std::sort(scratch_.sorted.begin(), scratch_.sorted.end());
    for (size_t i = 0; i < n; ++i) order[i] = static_cast<int32_t>(scratch_.sorted[i] & 0xffffffff);
    return;
  }
  scratch_.row_of_rank.resize(64 * words);
  scratch_.sorted.assign(words, 0);
  for (size_t i = 0; i < n; ++i) {
    scratch_.row_of_rank[rank_of(i)] = static_cast<int32_t>(i);
    scratch_.sorted[rank_of(i) / 64] |= uint64_t{1} << (rank_of(i) % 64);
  }
  size_t place = 0;
  for (size_t word = 0; word < words; ++word) {
    for (uint64_t bits = scratch_.sorted[word]; bits != 0; bits &= bits - 1) {
      order[place++] = scratch_.row_of_rank[64 * word + static_cast<size_t>(std::countr_zero(bits))];
    }
  }
}

// tie_rank[i] = place of row i among the rows by id.
void CandidateRows::RankByIds() {
  std::vector<int32_t>& order = scratch_.order;
  order.resize(scratch_.rows.size());
  if (decision_.unknown_offers.empty()) {
    OrderByIdRank();
  } else {
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [this](int32_t a, int32_t b) { return IdLess(a, b); });
  }
  InvertInto(order, scratch_.tie_rank);
}

// The shop's rules: named offers first, then by population rate, then by id.
void CandidateRows::RankByFixedOrder(const PolicyState* rules) {
  scratch_.fixed_places.clear();
  if (rules != nullptr) {
    const std::vector<std::string>& named = rules->policy.order;
    for (size_t i = 0; i < named.size(); ++i) scratch_.fixed_places.try_emplace(named[i], static_cast<int32_t>(i));
  }
  const Population::AsOf rates(state_.population, gate_.now);
  for (DecideScratch::Row& row : scratch_.rows) {
    row.fixed_place = INT32_MAX;
    row.fixed_rate = row.offer == nullptr ? 0 : rates.Offer(row.index).slow;
    if (scratch_.fixed_places.empty()) continue;
    if (const auto at = scratch_.fixed_places.find(IdOf(row)); at != scratch_.fixed_places.end()) row.fixed_place = at->second;
  }
  std::vector<int32_t>& order = scratch_.order;
  std::sort(order.begin(), order.end(), [this](int32_t a, int32_t b) {
    const DecideScratch::Row& x = scratch_.rows[static_cast<size_t>(a)];
    const DecideScratch::Row& y = scratch_.rows[static_cast<size_t>(b)];
    if (x.fixed_place != y.fixed_place) return x.fixed_place < y.fixed_place;
    if (x.fixed_rate != y.fixed_rate) return x.fixed_rate > y.fixed_rate;
    return scratch_.tie_rank[static_cast<size_t>(a)] < scratch_.tie_rank[static_cast<size_t>(b)];
  });
  InvertInto(order, scratch_.fixed_rank);
}

void CandidateRows::KeepBest(const PolicyState* rules) {
  std::vector<DecideScratch::Row> best;
  best.reserve(kMaxCandidates);
  for (int i = 0; i < kMaxCandidates; ++i) best.push_back(scratch_.rows[static_cast<size_t>(scratch_.order[static_cast<size_t>(i)])]);
  scratch_.rows = std::move(best);
  RankByIds();
  RankByFixedOrder(rules);
}

}  // namespace offerd
