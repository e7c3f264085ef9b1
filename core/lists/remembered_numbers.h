#pragma once
#include <cstddef>
#include <vector>

#include "absl/strings/string_view.h"
#include "core/candidates/catalogue.h"
#include "core/similarity/list_table.h"
#include "core/types.h"

namespace offerd {

// The catalogue's numbers of the items of tables, remembered between requests: looking an id up costs several cache misses. What is
// remembered is checked against the id, so it may come from another state, or from a table that is no more.
//
// Threads  Not safe; part of a scratch.
// Memory   4 bytes an item of at most kMaxTables tables.
class RememberedNumbers {
 public:
  static constexpr size_t kMaxTables = 16;

  // Of the items of one table, by TableItem; kNoItem: not remembered. Valid until the next table is asked for.
  std::vector<ItemIndex>& Of(const ListTable& table);

 private:
  struct Table {
    const ListTable* table = nullptr;  // compared, never followed
    std::vector<ItemIndex> numbers;
  };

  std::vector<Table> tables_;
  size_t oldest_ = 0;  // of tables_, once it is full
};

// The number of an id, which is then remembered; kNoItem: the catalogue has never heard of it.
ItemIndex FindNumber(const Catalogue& catalogue, absl::string_view id, ItemIndex& remembered);

}  // namespace offerd
