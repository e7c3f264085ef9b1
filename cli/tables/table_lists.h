#pragma once
#include <cstddef>
#include <vector>

#include "core/similarity/list_table.h"

namespace offerd::tables {

// What a table says of one item, best first: its row, or in a table of sessions the answer to a session of one click on
// it.
//
// Threads  One per thread. The table must outlive it.
class TableLists {
 public:
  explicit TableLists(const ListTable& table) : table_(table) {}

  void Get(TableItem item, size_t count, std::vector<ScoredItem>* list);

 private:
  const ListTable& table_;
  SessionScratch scratch_;
};

}  // namespace offerd::tables
