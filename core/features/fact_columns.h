#pragma once
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/check.h"
#include "core/features/feature_list.h"

namespace offerd {

// The facts about n candidates, by fact: what a FactPlan fills in and an Encoder reads.
//
// Shapes   num_facts() x num_candidates(); a fact is either shared by all candidates or has a value for each.
// Units    As declared by the fact. A number that is not a number stands for "missing", and for a text.
// Threads  Not safe; one per thread, reused: Reset keeps the memory. Texts belong to the caller.
class FactColumns {
 public:
  // Every fact becomes shared and missing.
  void Reset(int num_facts, int num_candidates) {
    num_candidates_ = static_cast<size_t>(num_candidates);
    columns_.assign(static_cast<size_t>(num_facts), Column{});
    numbers_.resize(columns_.size() * num_candidates_);
    if (has_texts_) texts_.assign(texts_.size(), absl::string_view());
  }

  int num_facts() const { return static_cast<int>(columns_.size()); }
  int num_candidates() const { return static_cast<int>(num_candidates_); }

  void SetShared(int fact, const Fact& value) { columns_[static_cast<size_t>(fact)] = {true, false, value}; }
  bool IsShared(int fact) const { return columns_[static_cast<size_t>(fact)].is_shared; }
  const Fact& Shared(int fact) const { return columns_[static_cast<size_t>(fact)].shared; }

  // The fact becomes one of each candidate; the caller writes all n.
  absl::Span<double> MutableNumbers(int fact) {
    Column& column = columns_[static_cast<size_t>(fact)];
    column.is_shared = false;
    column.has_texts = false;
    return {numbers_.data() + static_cast<size_t>(fact) * num_candidates_, num_candidates_};
  }
  absl::Span<const double> Numbers(int fact) const {
    DCHECK(!IsShared(fact));
    return {numbers_.data() + static_cast<size_t>(fact) * num_candidates_, num_candidates_};
  }

  // One candidate's value of a fact for which MutableNumbers was called before.
  void Set(int fact, int candidate, const Fact& value) {
    const size_t at = static_cast<size_t>(fact) * num_candidates_ + static_cast<size_t>(candidate);
    numbers_[at] = value.kind == Fact::Kind::kNumber ? value.number : std::numeric_limits<double>::quiet_NaN();
    if (value.kind != Fact::Kind::kText) return;
    Column& column = columns_[static_cast<size_t>(fact)];
    if (texts_.size() < numbers_.size()) texts_.resize(numbers_.size());
    column.has_texts = true;
    has_texts_ = true;
    texts_[at] = value.text.data() == nullptr ? absl::string_view("") : value.text;
  }

  Fact At(int fact, int candidate) const {
    const Column& column = columns_[static_cast<size_t>(fact)];
    if (column.is_shared) return column.shared;
    const size_t at = static_cast<size_t>(fact) * num_candidates_ + static_cast<size_t>(candidate);
    if (column.has_texts && texts_[at].data() != nullptr) return Fact::Text(texts_[at]);
    return std::isnan(numbers_[at]) ? Fact::Missing() : Fact::Number(numbers_[at]);
  }

 private:
  struct Column {
    bool is_shared = true;
    bool has_texts = false;
    Fact shared;
  };
  size_t num_candidates_ = 0;
  std::vector<Column> columns_;
  std::vector<double> numbers_;  // num_facts x num_candidates
  std::vector<absl::string_view> texts_;  // the same, once there is a text; without data: none
  bool has_texts_ = false;  // ever
};

}  // namespace offerd
