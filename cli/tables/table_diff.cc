#include "cli/tables/table_diff.h"

#include <algorithm>
#include <limits>

#include "cli/evaluate/item_numbers.h"
#include "cli/tables/table_lists.h"

namespace offerd::tables {
namespace {

constexpr TableItem kNone = std::numeric_limits<TableItem>::max();  // more than a table has

// The number in `to` of every item of `from`.
std::vector<TableItem> Numbers(const ItemIdsView& from, const ItemIdsView& to, std::vector<std::string>* missing) {
  std::vector<TableItem> numbers(from.size());
  for (TableItem item = 0; item < from.size(); ++item) {
    const absl::string_view id = from.IdOf(item);
    numbers[item] = to.Find(id).value_or(kNone);
    if (numbers[item] == kNone) missing->emplace_back(id);
  }
  return numbers;
}

bool SameItems(const std::vector<ScoredItem>& a, const std::vector<ScoredItem>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const ScoredItem& x, const ScoredItem& y) { return x.item == y.item; });
}

// Sums over compared items.
class Comparison {
 public:
  Comparison(const ListTable& older, const ListTable& newer, size_t k, const std::vector<TableItem>& new_numbers)
      : old_lists_(older),
        new_lists_(newer),
        k_(k),
        has_rows_(!older.has_sessions() && !newer.has_sessions()),
        new_numbers_(new_numbers) {}

  void Add(TableItem old_item, TableItem new_item) {
    const size_t whole = has_rows_ ? std::numeric_limits<size_t>::max() : k_;
    old_lists_.Get(old_item, whole, &old_list_);
    new_lists_.Get(new_item, whole, &new_list_);
    if (old_list_.empty() && new_list_.empty()) return;
    for (ScoredItem& entry : old_list_) entry.item = new_numbers_[entry.item];
    ++compared;
    equal_rows += old_list_ == new_list_ ? 1 : 0;
    old_list_.resize(std::min(k_, old_list_.size()));
    new_list_.resize(std::min(k_, new_list_.size()));
    equal_lists += SameItems(old_list_, new_list_) ? 1 : 0;
    seen_.StartRow();
    for (const ScoredItem& entry : new_list_) seen_.Insert(entry.item);
    const auto common = std::count_if(old_list_.begin(), old_list_.end(), [this](const ScoredItem& entry) {
      return entry.item != kNone && seen_.Contains(entry.item);
    });
    overlap += static_cast<double>(common) / static_cast<double>(std::max(old_list_.size(), new_list_.size()));
  }

  uint64_t compared = 0;
  uint64_t equal_rows = 0, equal_lists = 0;
  double overlap = 0;

 private:
  TableLists old_lists_, new_lists_;
  const size_t k_;
  const bool has_rows_;
  const std::vector<TableItem>& new_numbers_;
  std::vector<ScoredItem> old_list_, new_list_;
  evaluate::SeenItems seen_;
};

}  // namespace

TableDiff Compare(const ListTable& older, const ListTable& newer, size_t k) {
  TableDiff diff;
  diff.old_items = older.ids.size();
  diff.new_items = newer.ids.size();
  const std::vector<TableItem> new_numbers = Numbers(older.ids, newer.ids, &diff.lost);
  Numbers(newer.ids, older.ids, &diff.gained);
  Comparison sums(older, newer, k, new_numbers);
  for (TableItem item = 0; item < new_numbers.size(); ++item) {
    if (new_numbers[item] != kNone) sums.Add(item, new_numbers[item]);
  }
  diff.compared = sums.compared;
  const auto mean = [&sums](double sum) { return sums.compared == 0 ? 1 : sum / static_cast<double>(sums.compared); };
  diff.overlap = mean(sums.overlap);
  diff.equal_lists = mean(static_cast<double>(sums.equal_lists));
  diff.equal_rows = mean(static_cast<double>(sums.equal_rows));
  return diff;
}

}  // namespace offerd::tables
