#include "core/similarity/table_rows.h"

#include <algorithm>
#include <utility>

namespace offerd {
namespace {

constexpr uint64_t kMostTasks = 512;

}  // namespace

void TableRows::Append(absl::Span<const Neighbour> row) {
  for (const Neighbour& neighbour : row) {
    neighbours.push_back(neighbour.item);
    scores.push_back(static_cast<float>(neighbour.score));
  }
  sizes.push_back(static_cast<uint32_t>(row.size()));
}

ItemTable JoinRows(std::vector<TableRows> parts) {
  size_t rows = 0;
  size_t entries = 0;
  for (const TableRows& part : parts) {
    rows += part.sizes.size();
    entries += part.neighbours.size();
  }
  ItemTable table;
  table.offsets.reserve(rows + 1);
  table.neighbours.reserve(entries);
  table.scores.reserve(entries);
  for (TableRows& taken : parts) {
    const TableRows part = std::move(taken);
    for (uint32_t size : part.sizes) table.offsets.push_back(table.offsets.back() + size);
    table.neighbours.insert(table.neighbours.end(), part.neighbours.begin(), part.neighbours.end());
    table.scores.insert(table.scores.end(), part.scores.begin(), part.scores.end());
  }
  return table;
}

std::vector<size_t> CutRows(const Baskets& baskets, const BasketIndex& index) {
  // What is read to count: every entry of an item opens a basket of the average size.
  const uint64_t entries = baskets.items.size();
  const uint64_t reads = entries * (entries / (baskets.size() + 1) + 1);
  const uint64_t tasks = std::clamp<uint64_t>(reads / (8 * (baskets.num_items + 1)), 1, kMostTasks);
  std::vector<size_t> ends = {0};
  for (size_t i = 0; i < baskets.num_items; ++i) {
    if (index.offsets[i + 1] - index.offsets[ends.back()] >= entries / tasks + 1) ends.push_back(i + 1);
  }
  if (ends.back() != baskets.num_items) ends.push_back(baskets.num_items);
  return ends;
}

}  // namespace offerd
