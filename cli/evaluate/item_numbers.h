#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "cli/evaluate/ids.h"
#include "core/similarity/baskets.h"

namespace offerd::evaluate {

// The numbers that methods know items by: those of training first, ascending by id, then the others as they came.
struct ItemNumbers {
  ItemNumbers(const IdTable& items, const std::vector<bool>& is_in_training);

  std::vector<TableItem> of;      // by number in the IdTable
  std::vector<std::string> ids;   // of the training items
};

// Tells the items that a row has. One row at a time; each costs what it holds.
class SeenItems {
 public:
  void StartRow() { ++row_; }
  bool Insert(uint32_t item) {  // false: it was there
    if (item >= rows_.size()) rows_.resize(item + 1 + item / 2, 0);
    if (rows_[item] == row_) return false;
    rows_[item] = row_;
    return true;
  }
  bool Contains(uint32_t item) const { return item < rows_.size() && rows_[item] == row_; }

 private:
  std::vector<uint32_t> rows_;
  uint32_t row_ = 0;
};

// Line numbers in groups: those of group g are lines[offsets[g] .. offsets[g + 1]), in the order of the file.
struct LinesByGroup {
  LinesByGroup(const std::vector<uint32_t>& group_of_line, size_t num_groups);

  std::vector<uint64_t> offsets;
  std::vector<uint32_t> lines;
};

}  // namespace offerd::evaluate
