#pragma once
#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "absl/types/span.h"

namespace offerd {

// The first `keep` of a stream of entries in the order `Before` (strict and total, so that the answer does not depend
// on the order of the stream).
//
// Cost     One comparison for an entry that cannot be among the first, a few for the others. The buffer grows to a
//          little more than twice `keep` and is kept between streams; small ones are whole from the start.
template <typename Entry, typename Before>
class BestOf {
 public:
  explicit BestOf(Before before = Before()) : before_(std::move(before)) {}

  // A new stream. keep = 0 keeps nothing.
  void Start(size_t keep) {
    keep_ = keep;
    room_ = keep > std::numeric_limits<size_t>::max() / 2 - kSpare ? keep : 2 * keep + kSpare;
    is_full_ = keep == 0;
    entries_.clear();
    if (room_ <= kReserved) entries_.reserve(room_);
  }

  // False only if it is certain that the entry is not among the first: no need to offer it.
  bool Wants(const Entry& entry) const { return !is_full_ || (keep_ != 0 && before_(entry, worst_)); }

  void Offer(const Entry& entry) {
    if (!Wants(entry)) return;
    entries_.push_back(entry);
    if (entries_.size() == room_) Prune();
  }

  // Ends the stream. Valid until the next one starts.
  absl::Span<const Entry> Sorted() {
    if (entries_.size() > keep_) Prune();
    std::sort(entries_.begin(), entries_.end(), before_);
    return entries_;
  }

 private:
  static constexpr size_t kSpare = 64;  // so that a short list is not pruned every few entries
  static constexpr size_t kReserved = 1024;

  void Prune() {
    std::nth_element(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(keep_ - 1), entries_.end(),
                     before_);
    entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(keep_), entries_.end());
    worst_ = entries_.back();
    is_full_ = true;
  }

  Before before_;
  size_t keep_ = 0;
  size_t room_ = 0;
  bool is_full_ = true;
  Entry worst_{};
  std::vector<Entry> entries_;
};

}  // namespace offerd
