#include "core/similarity/cart_scorer.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace offerd {
namespace {

constexpr float kExcluded = -std::numeric_limits<float>::infinity();

// A score and its item as one number: larger is better, and at equal scores the lower number is.
uint64_t Key(float score, TableItem item) {
  const uint32_t bits = std::bit_cast<uint32_t>(score + 0.0f);  // -0 is 0
  const uint32_t ascending = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return uint64_t{ascending} << 32 | static_cast<uint32_t>(~item);
}

float ScoreOf(uint64_t key) {
  const uint32_t ascending = static_cast<uint32_t>(key >> 32);
  return std::bit_cast<float>(ascending & 0x80000000u ? ascending & 0x7fffffffu : ~ascending);
}

bool IsAllowed(absl::Span<const uint64_t> allowed, TableItem item) {
  return item / 64 < allowed.size() && (allowed[item / 64] >> (item % 64) & 1) != 0;
}

}  // namespace

void CartScorer::Start(ItemTableView table, absl::Span<const CartLine> cart) {
  if (++stamp_ == 0) {
    std::fill(cells_.begin(), cells_.end(), Cell());
    stamp_ = 1;
  }
  if (cells_.size() < table.num_items()) {
    cells_.resize(table.num_items());
    touched_.resize(cells_.size() + 1);
  }
  cart_.assign(cart.begin(), cart.end());
  num_touched_ = 0;
}

void CartScorer::Accumulate(ItemTableView table, absl::Span<const CartLine> cart) {
  Start(table, cart);
  for (const CartLine& line : cart) {
    if (line.item >= table.num_items()) continue;
    __builtin_prefetch(table.neighbours.data() + table.offsets[line.item]);
    __builtin_prefetch(table.scores.data() + table.offsets[line.item]);
  }
  TableItem* const touched = touched_.data();
  Cell* const cells = cells_.data();
  size_t size = 0;
  for (const CartLine& line : cart) {
    if (line.item >= table.num_items()) continue;
    const absl::Span<const TableItem> neighbours = table.Neighbours(line.item);
    const float* const scores = table.Scores(line.item).data();
    for (size_t k = 0; k < neighbours.size(); ++k) {
      Cell& cell = cells[neighbours[k]];
      const bool is_new = cell.stamp != stamp_;
      touched[size] = neighbours[k];
      size += is_new;
      cell = {(is_new ? 0.0f : cell.score) + line.weight * scores[k], stamp_};
    }
  }
  num_touched_ = size;
}

absl::Span<const TableItem> CartScorer::touched() const { return absl::MakeConstSpan(touched_).first(num_touched_); }

float CartScorer::score(TableItem item) const {
  return item < cells_.size() && cells_[item].stamp == stamp_ ? cells_[item].score : 0;
}

void CartScorer::Top(size_t count, absl::Span<const uint64_t> allowed, std::vector<ScoredItem>* answer) {
  // The cart's own lines are out of the running while the rest is looked at.
  own_.clear();
  for (const CartLine& line : cart_) {
    if (line.item >= cells_.size() || cells_[line.item].stamp != stamp_) continue;
    own_.push_back(cells_[line.item].score);
    cells_[line.item].score = kExcluded;
  }
  best_.Start(count);
  for (TableItem item : touched()) {
    const float score = cells_[item].score;
    const uint64_t key = Key(score, item);
    if (!best_.Wants(key) || score == kExcluded) continue;
    if (allowed.empty() || IsAllowed(allowed, item)) best_.Offer(key);
  }
  for (size_t line = cart_.size(); line-- > 0;) {  // backwards: of two lines with one item, the first kept its score
    if (cart_[line].item >= cells_.size() || cells_[cart_[line].item].stamp != stamp_) continue;
    cells_[cart_[line].item].score = own_.back();
    own_.pop_back();
  }
  answer->clear();
  for (uint64_t key : best_.Sorted()) answer->push_back({~static_cast<TableItem>(key), ScoreOf(key)});
}

}  // namespace offerd
