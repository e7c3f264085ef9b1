#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/similarity/baskets.h"

namespace offerd {

// For each item its best neighbours: compressed sparse rows, as they lie in memory and in a mapped artefact.
//
// Shapes   offsets: num_items + 1. neighbours, scores: offsets.back() entries. A row is in order of score descending, then
//          number ascending.
// Threads  Immutable bytes owned by somebody else (ItemTable, a mapped file): safe to share while the owner lives.
struct ItemTableView {
  absl::Span<const uint64_t> offsets;
  absl::Span<const TableItem> neighbours;
  absl::Span<const float> scores;

  size_t num_items() const { return offsets.empty() ? 0 : offsets.size() - 1; }
  absl::Span<const TableItem> Neighbours(TableItem item) const { return neighbours.subspan(offsets[item], offsets[item + 1] - offsets[item]); }
  absl::Span<const float> Scores(TableItem item) const { return scores.subspan(offsets[item], offsets[item + 1] - offsets[item]); }
};

struct ItemTable {
  std::vector<uint64_t> offsets = {0};
  std::vector<TableItem> neighbours;
  std::vector<float> scores;

  ItemTableView view() const { return {offsets, neighbours, scores}; }
};

}  // namespace offerd
