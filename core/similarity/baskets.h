#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace offerd {

// Number of an item in one table or data set: 0 .. num_items - 1, in ascending order of the ids (all ids whole numbers: as
// numbers; else by bytes), so that ties by number are ties by id.
using TableItem = uint32_t;

// Baskets or sessions as one flat array: what the builders read.
//
// Shapes  offsets has num_baskets + 1 entries, offsets[0] = 0; basket b holds items[offsets[b] .. offsets[b + 1]), in the
//         order of time. The same item may stand several times: builders of pairs count it once, sequential rules do not.
// Units   weights, where not empty, is one positive factor a basket (recency); empty means 1 each.
struct Baskets {
  size_t num_items = 0;
  std::vector<uint64_t> offsets = {0};
  std::vector<TableItem> items;
  std::vector<double> weights;

  size_t size() const { return offsets.size() - 1; }
  absl::Span<const TableItem> operator[](size_t basket) const {
    return absl::MakeConstSpan(items).subspan(offsets[basket], offsets[basket + 1] - offsets[basket]);
  }
  void Add(absl::Span<const TableItem> basket) {
    items.insert(items.end(), basket.begin(), basket.end());
    offsets.push_back(items.size());
  }
};

}  // namespace offerd
