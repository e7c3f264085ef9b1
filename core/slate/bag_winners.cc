#include "core/slate/bag_winners.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

namespace offerd {
namespace {

constexpr size_t kLanes = 8;
constexpr size_t kGroups = 4;  // of lanes that are compared in turns, so that none waits for the other
constexpr float kLowest = -std::numeric_limits<float>::infinity();
typedef float FloatLanes __attribute__((vector_size(kLanes * sizeof(float))));
typedef int32_t IntLanes __attribute__((vector_size(kLanes * sizeof(int32_t))));

// The best scores so far of kLanes neighbouring members, and whose they are.
struct Leaders {
  FloatLanes best;
  IntLanes winner;
};

// Candidates with one score a member, of which the earlier wins a tie: rows of a matrix.
struct Candidates {
  const float* scores;      // of the first of the members that are compared
  size_t stride;            // between candidates
  const int32_t* order;     // the rows; null: 0, 1, 2 ...; -1: none
  const int32_t* winners;   // whom a row's scores stand for, by member with the same stride; null: the row itself
  size_t size;
};

inline void Compare(const Candidates& candidates, size_t row, size_t offset, Leaders& leaders) {
  FloatLanes score;
  std::memcpy(&score, candidates.scores + row * candidates.stride + offset, sizeof(score));
  IntLanes candidate = static_cast<int32_t>(row) - IntLanes{};
  if (candidates.winners != nullptr) std::memcpy(&candidate, candidates.winners + row * candidates.stride + offset, sizeof(candidate));
  const IntLanes is_better = score > leaders.best;
  leaders.best = is_better ? score : leaders.best;
  leaders.winner = is_better ? candidate : leaders.winner;
}

// Who leads among the candidates; `otherwise` where no score is above minus infinity.
template <size_t... kGroup>
inline void LeadLanes(const Candidates& candidates, int32_t otherwise, float* best, int32_t* winners, std::index_sequence<kGroup...>) {
  Leaders leaders[sizeof...(kGroup)];
  ((leaders[kGroup].best = kLowest - FloatLanes{}, leaders[kGroup].winner = otherwise - IntLanes{}), ...);
  for (size_t i = 0; i < candidates.size; ++i) {
    if (candidates.order != nullptr && candidates.order[i] < 0) continue;
    const size_t row = candidates.order == nullptr ? i : static_cast<size_t>(candidates.order[i]);
    (Compare(candidates, row, kGroup * kLanes, leaders[kGroup]), ...);
  }
  ((std::memcpy(best + kGroup * kLanes, &leaders[kGroup].best, sizeof(FloatLanes)),
    std::memcpy(winners + kGroup * kLanes, &leaders[kGroup].winner, sizeof(IntLanes))), ...);
}

void LeadOne(const Candidates& candidates, int32_t otherwise, float& best, int32_t& winner) {
  best = kLowest;
  winner = otherwise;
  for (size_t i = 0; i < candidates.size; ++i) {
    if (candidates.order != nullptr && candidates.order[i] < 0) continue;
    const size_t at = (candidates.order == nullptr ? i : static_cast<size_t>(candidates.order[i])) * candidates.stride;
    if (!(candidates.scores[at] > best)) continue;
    best = candidates.scores[at];
    winner = candidates.winners == nullptr ? candidates.order[i] : candidates.winners[at];
  }
}

// The same for all members. Nothing is read or written beyond them.
void Lead(Candidates candidates, int32_t otherwise, size_t members, float* best, int32_t* winners) {
  size_t m = 0;
  const auto from = [&candidates](size_t first) {
    Candidates result = candidates;
    result.scores += first;
    if (result.winners != nullptr) result.winners += first;
    return result;
  };
  for (; m + kGroups * kLanes <= members; m += kGroups * kLanes) {
    LeadLanes(from(m), otherwise, best + m, winners + m, std::make_index_sequence<kGroups>());
  }
  for (; m + kLanes <= members; m += kLanes) LeadLanes(from(m), otherwise, best + m, winners + m, std::make_index_sequence<1>());
  for (; m < members; ++m) LeadOne(from(m), otherwise, best[m], winners[m]);
}

}  // namespace

void BagWinners::Close(int32_t candidate) {
  if (!is_known_) return;
  const size_t place = static_cast<size_t>(place_[static_cast<size_t>(candidate)]);
  order_[place] = -1;
  is_stale_[place >> block_bits_] = 1;
  for (const int32_t winner : winners_) lost_winner_ |= winner == candidate;
}

void BagWinners::Start(const FloatRowMatrix& scores, absl::Span<const int32_t> open_by_tie) {
  const size_t n = open_by_tie.size();
  block_bits_ = 2;
  while ((size_t{1} << (2 * block_bits_)) < n) ++block_bits_;
  order_.assign(open_by_tie.begin(), open_by_tie.end());
  place_.resize(static_cast<size_t>(scores.rows()));
  for (size_t i = 0; i < n; ++i) place_[static_cast<size_t>(order_[i])] = static_cast<int32_t>(i);
  const size_t blocks = ((n - 1) >> block_bits_) + 1;
  const size_t members = static_cast<size_t>(scores.cols()) - 1;
  is_stale_.assign(blocks, 1);
  block_best_.resize(blocks * members);
  block_winner_.resize(blocks * members);
  best_.resize(members);
  winners_.resize(members);
  is_known_ = true;
  lost_winner_ = true;
}

void BagWinners::Update(const FloatRowMatrix& scores, absl::Span<const int32_t> open_by_tie) {
  if (!is_known_) Start(scores, open_by_tie);
  if (!lost_winner_) return;
  lost_winner_ = false;
  const size_t members = winners_.size();
  const size_t block_size = size_t{1} << block_bits_;
  for (size_t block = 0; block < is_stale_.size(); ++block) {
    if (is_stale_[block] == 0) continue;
    is_stale_[block] = 0;
    const size_t begin = block * block_size;
    const Candidates candidates{scores.data() + 1, static_cast<size_t>(scores.cols()), order_.data() + begin, nullptr,
                                std::min(block_size, order_.size() - begin)};
    Lead(candidates, open_by_tie.front(), members, block_best_.data() + block * members, block_winner_.data() + block * members);
  }
  Lead({block_best_.data(), members, nullptr, block_winner_.data(), is_stale_.size()}, open_by_tie.front(), members, best_.data(), winners_.data());
}

}  // namespace offerd
