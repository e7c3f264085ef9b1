#include "core/similarity/session_neighbours.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "core/similarity/basket_index.h"
#include "core/similarity/parallel_for.h"
#include "core/status_macros.h"

namespace offerd {
namespace {

constexpr size_t kMostClicks = 1000;
constexpr uint32_t kVotes = 10;  // a match d clicks back votes with (kVotes - d) / kVotes

// What is known of a matched session, in one number that is never 0: how many clicks back its most recent match is (1
// .. 255, more is as good as 255), and the sum of the places of its matches (at most kMostClicks (kMostClicks + 1) / 2
// < 2^24).
uint32_t Match(size_t clicks_back, uint32_t place) {
  return static_cast<uint32_t>(std::min<size_t>(clicks_back, 255)) << 24 | place;
}
uint32_t ClicksBack(uint32_t match) { return match >> 24; }
uint32_t Places(uint32_t match) { return match & 0xffffff; }

// The largest size such that at least this share of the sessions (with items) is not longer.
size_t QuantileOf(std::vector<uint32_t> sizes, double quantile) {
  sizes.erase(std::remove(sizes.begin(), sizes.end(), 0u), sizes.end());
  if (sizes.empty() || quantile >= 1) return std::numeric_limits<size_t>::max();
  const size_t rank = static_cast<size_t>(std::ceil(quantile * static_cast<double>(sizes.size())));
  const auto place = sizes.begin() + static_cast<std::ptrdiff_t>(std::max<size_t>(rank, 1) - 1);
  std::nth_element(sizes.begin(), place, sizes.end());
  return *place;
}

// The distinct items of every session.
Baskets DistinctSessions(const Baskets& sessions) {
  Baskets distinct;
  distinct.num_items = sessions.num_items;
  distinct.items.reserve(sessions.items.size());
  distinct.offsets.reserve(sessions.offsets.size());
  std::vector<size_t> last_seen(sessions.num_items, sessions.size());
  for (size_t s = 0; s < sessions.size(); ++s) {
    for (TableItem item : sessions[s]) {
      if (last_seen[item] != s) distinct.items.push_back(item);
      last_seen[item] = s;
    }
    distinct.offsets.push_back(distinct.items.size());
  }
  return distinct;
}

// Empties the sessions with more items than the quantile, and returns how many they are.
size_t EmptyLongSessions(Baskets& sessions, double quantile) {
  std::vector<uint32_t> sizes;
  for (size_t s = 0; s < sessions.size(); ++s) sizes.push_back(static_cast<uint32_t>(sessions[s].size()));
  const size_t longest = QuantileOf(sizes, quantile);
  size_t too_long = 0;
  uint64_t end = 0;
  for (size_t s = 0; s < sizes.size(); ++s) {
    const auto begin = sessions.items.begin() + static_cast<std::ptrdiff_t>(sessions.offsets[s]);
    sessions.offsets[s] = end;
    if (sizes[s] > longest) {
      ++too_long;
    } else {
      std::copy(begin, begin + sizes[s], sessions.items.begin() + static_cast<std::ptrdiff_t>(end));
      end += sizes[s];
    }
  }
  sessions.offsets.back() = end;
  sessions.items.resize(end);
  return too_long;
}

// Session numbers, most recent first.
std::vector<uint32_t> ByRecency(absl::Span<const int64_t> last_click) {
  std::vector<uint32_t> order(last_click.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return last_click[a] != last_click[b] ? last_click[a] > last_click[b] : a > b;
  });
  return order;
}

absl::Status CheckArguments(const Baskets& sessions, absl::Span<const int64_t> last_click,
                            const SessionIndexOptions& options) {
  if (options.sessions_per_item == 0)
    return absl::InvalidArgumentError("sessions_per_item: expected at least 1, found 0");
  if (!(options.length_quantile > 0 && options.length_quantile <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("length_quantile: expected (0, 1], found ", options.length_quantile));
  }
  RETURN_IF_ERROR(CheckBaskets(sessions, InOrder));
  if (last_click.size() == sessions.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("last_click: expected one time for each of ", sessions.size(),
                                                 " sessions, found ", last_click.size()));
}

template <typename T>
void GrowTo(std::vector<T>& values, size_t size) {
  if (values.size() < size) values.resize(size);
}

template <typename T>
uint64_t BytesOf(const std::vector<T>& values) {
  return values.capacity() * sizeof(T);
}

}  // namespace

absl::StatusOr<SessionIndex> SessionIndex::Build(const Baskets& sessions, absl::Span<const int64_t> last_click,
                                                 const SessionIndexOptions& options) {
  RETURN_IF_ERROR(CheckArguments(sessions, last_click, options));
  SessionIndex index;
  index.sessions_per_item_ = options.sessions_per_item;
  Baskets kept = DistinctSessions(sessions);
  index.sessions_too_long_ = EmptyLongSessions(kept, options.length_quantile);
  std::vector<uint32_t> item_counts(kept.num_items);
  for (TableItem item : kept.items) ++item_counts[item];
  index.idf_.resize(kept.num_items);
  index.item_offsets_.assign(1, 0);
  for (size_t i = 0; i < kept.num_items; ++i) {
    if (item_counts[i] > 0) index.idf_[i] = std::log(static_cast<double>(kept.items.size()) / item_counts[i]);
    index.item_offsets_.push_back(index.item_offsets_.back() +
                                  std::min<uint64_t>(item_counts[i], options.sessions_per_item));
  }
  index.Remember(kept, ByRecency(last_click));
  return index;
}

void SessionIndex::Remember(const Baskets& sessions, absl::Span<const uint32_t> by_recency) {
  item_sessions_.resize(item_offsets_.back());
  session_offsets_.assign(1, 0);
  std::vector<uint64_t> next(item_offsets_.begin(), item_offsets_.end() - 1);
  for (uint32_t s : by_recency) {
    const uint32_t number = static_cast<uint32_t>(session_offsets_.size() - 1);
    bool is_remembered = false;
    for (TableItem item : sessions[s]) {
      if (next[item] == item_offsets_[item + 1]) continue;
      item_sessions_[next[item]++] = number;
      is_remembered = true;
    }
    if (!is_remembered) continue;  // every item of it has m more recent ones
    session_items_.insert(session_items_.end(), sessions[s].begin(), sessions[s].end());
    session_offsets_.push_back(session_items_.size());
  }
}

uint64_t SessionIndex::size_bytes() const {
  return BytesOf(item_offsets_) + BytesOf(item_sessions_) + BytesOf(session_offsets_) + BytesOf(session_items_) +
         BytesOf(idf_);
}

// One run of RecommendNext.
class SessionQuery {
 public:
  SessionQuery(const SessionIndexView& index, absl::Span<const TableItem> session, const SessionQueryOptions& options,
               SessionScratch& scratch)
      : index_(index), options_(options), scratch_(scratch) {
    const size_t last = std::min({options.last_items, kMostClicks, session.size()});
    window_ = session.subspan(session.size() - last);
    GrowTo(scratch.matches_, index.num_sessions());
    GrowTo(scratch.matched_sessions_, index.num_sessions() + 1);
    GrowTo(scratch.neighbours_, std::min<uint64_t>(index.num_sessions(), index.sessions_per_item));
    GrowTo(scratch.votes_, index.num_items());
    GrowTo(scratch.voted_items_, index.num_items() + 1);
  }

  void Run(std::vector<ScoredItem>* answer) {
    MatchSessions();
    KeepMostRecent();
    ChooseNeighbours();
    Vote();
    Answer(answer);
  }

 private:
  // Each distinct item of the window, the most recent click of it: its sessions count its place in the window.
  void MatchSessions() {
    for (size_t back = 1; back <= window_.size(); ++back) {
      const TableItem item = window_[window_.size() - back];
      const absl::Span<const TableItem> later = window_.last(back - 1);
      if (std::find(later.begin(), later.end(), item) != later.end()) continue;
      ++distinct_;
      if (item >= index_.num_items()) continue;
      const uint32_t place = static_cast<uint32_t>(window_.size() - back + 1);
      for (uint64_t e = index_.item_offsets[item]; e < index_.item_offsets[item + 1]; ++e) {
        const uint32_t session = index_.item_sessions[e];
        uint32_t& match = scratch_.matches_[session];
        scratch_.matched_sessions_[num_matched_] = session;
        num_matched_ += match == 0;
        match = match == 0 ? Match(back, place) : match + place;
      }
    }
  }

  // The m most recent of all matched sessions.
  void KeepMostRecent() {
    if (num_matched_ <= index_.sessions_per_item) return;
    uint32_t* const matched = scratch_.matched_sessions_.data();
    std::nth_element(matched, matched + index_.sessions_per_item, matched + num_matched_);
    for (size_t k = index_.sessions_per_item; k < num_matched_; ++k) scratch_.matches_[matched[k]] = 0;
    num_matched_ = index_.sessions_per_item;
  }

  // The k most similar, the more recent at ties: the smallest of (largest similarity - similarity, session).
  void ChooseNeighbours() {
    uint64_t* const neighbours = scratch_.neighbours_.data();
    for (size_t k = 0; k < num_matched_; ++k) {
      const uint32_t session = scratch_.matched_sessions_[k];
      neighbours[k] = uint64_t{0xffffff - Places(scratch_.matches_[session])} << 32 | session;
    }
    num_neighbours_ = std::min(num_matched_, options_.neighbours);
    if (num_neighbours_ < num_matched_) {
      std::nth_element(neighbours, neighbours + num_neighbours_, neighbours + num_matched_);
    }
  }

  void Vote() {
    for (size_t k = 0; k < num_neighbours_; ++k) {
      const uint32_t session = static_cast<uint32_t>(scratch_.neighbours_[k]);
      const uint32_t match = scratch_.matches_[session];
      if (ClicksBack(match) >= kVotes) continue;
      const double vote = static_cast<double>(Places(match)) * (kVotes - ClicksBack(match));
      for (uint64_t e = index_.session_offsets[session]; e < index_.session_offsets[session + 1]; ++e) {
        double& votes = scratch_.votes_[index_.session_items[e]];
        scratch_.voted_items_[num_voted_] = index_.session_items[e];
        num_voted_ += votes == 0;
        votes += vote;
      }
    }
    for (size_t k = 0; k < num_matched_; ++k) scratch_.matches_[scratch_.matched_sessions_[k]] = 0;
  }

  void Answer(std::vector<ScoredItem>* answer) {
    const double scale = 1.0 / (kVotes * static_cast<double>(distinct_));
    scratch_.best_.Start(options_.count);
    for (size_t k = 0; k < num_voted_; ++k) {
      const TableItem item = scratch_.voted_items_[k];
      const double idf = options_.idf_weight == 0 ? 1 : options_.idf_weight * index_.idf[item];
      if (options_.keep_current || item != window_.back()) {
        scratch_.best_.Offer({item, scratch_.votes_[item] * idf * scale});
      }
      scratch_.votes_[item] = 0;
    }
    const absl::Span<const ScoredItem> best = scratch_.best_.Sorted();
    answer->assign(best.begin(), best.end());
  }

  const SessionIndexView& index_;
  const SessionQueryOptions& options_;
  SessionScratch& scratch_;
  absl::Span<const TableItem> window_;  // the clicks that are read
  size_t distinct_ = 0;                 // items in it
  size_t num_matched_ = 0;
  size_t num_neighbours_ = 0;
  size_t num_voted_ = 0;
};

void RecommendNext(const SessionIndexView& index, absl::Span<const TableItem> session,
                   const SessionQueryOptions& options, SessionScratch& scratch, std::vector<ScoredItem>* answer) {
  answer->clear();
  if (session.empty() || options.last_items == 0) return;
  SessionQuery(index, session, options, scratch).Run(answer);
}

}  // namespace offerd
