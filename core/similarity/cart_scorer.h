#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/types/span.h"
#include "core/similarity/best_of.h"
#include "core/similarity/item_table.h"
#include "core/similarity/session_neighbours.h"  // ScoredItem

namespace offerd {

struct CartLine {
  TableItem item = 0;
  float weight = 1;
};

// The best items for a cart: the sum of its lines' rows of one table, and the top of it.
//
// Threads  One per thread: it keeps a dense accumulator of 8 bytes an item, stamped by query, and allocates nothing
//          after the first query of a table and a cart as large.
// Cost     Lines x row length + one pass over what was touched.
class CartScorer {
 public:
  // Adds up rows. Lines the table does not know (item >= num_items) add nothing. Starts a new cart.
  void Accumulate(ItemTableView table, absl::Span<const CartLine> cart);

  // Items with a score so far, in order of first touch.
  absl::Span<const TableItem> touched() const;
  float score(TableItem item) const;  // 0 where nothing was added

  // The `count` best, without the cart's own lines and without items whose bit is clear in `allowed` (empty = all
  // allowed). Score descending, then number.
  void Top(size_t count, absl::Span<const uint64_t> allowed, std::vector<ScoredItem>* answer);

 private:
  struct Cell {
    float score = 0;
    uint32_t stamp = 0;  // the cart that wrote it
  };

  void Start(ItemTableView table, absl::Span<const CartLine> cart);

  std::vector<Cell> cells_;
  std::vector<TableItem> touched_;  // one place more than cells: the next one is written before it is known to be new
  size_t num_touched_ = 0;
  uint32_t stamp_ = 0;
  std::vector<CartLine> cart_;
  std::vector<float> own_;  // scores of the cart's lines while they are left out
  BestOf<uint64_t, std::greater<uint64_t>> best_;
};

}  // namespace offerd
