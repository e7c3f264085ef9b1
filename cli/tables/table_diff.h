#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/similarity/list_table.h"

namespace offerd::tables {

// What one table says otherwise than another. Items are matched by id; lists are those of TableLists, cut at k.
struct TableDiff {
  uint64_t old_items = 0;
  uint64_t new_items = 0;
  std::vector<std::string> gained;  // items of the new table alone, in its order
  std::vector<std::string> lost;    // items of the old table alone, in its order
  uint64_t compared = 0;            // items of both with a list in at least one
  double overlap = 0;               // mean of: entries in both lists, over the length of the longer one
  double equal_lists = 0;           // share whose lists have the same entries in the same order
  double equal_rows = 0;            // share whose lists are equal uncut, scores included (tables of sessions: cut)
};

// The means are 1 where nothing is compared.
TableDiff Compare(const ListTable& older, const ListTable& newer, size_t k);

}  // namespace offerd::tables
