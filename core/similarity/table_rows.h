#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/similarity/basket_index.h"
#include "core/similarity/baskets.h"
#include "core/similarity/item_table.h"
#include "core/similarity/score_order.h"

namespace offerd {

// Consecutive rows of an ItemTable: what one task of a builder makes.
struct TableRows {
  std::vector<uint32_t> sizes;
  std::vector<TableItem> neighbours;
  std::vector<float> scores;

  void Append(absl::Span<const Neighbour> row);
};

// The rows of all parts, one after the other. Each part's memory is given back as soon as it is copied.
ItemTable JoinRows(std::vector<TableRows> parts);

// Cuts the items into tasks of about the same number of entries in the index, for a builder that reads, for each item,
// the baskets that hold it: the ends of the ranges, beginning with 0. So many that clearing a dense accumulator for
// each stays cheap beside the counting.
std::vector<size_t> CutRows(const Baskets& baskets, const BasketIndex& index);

}  // namespace offerd
