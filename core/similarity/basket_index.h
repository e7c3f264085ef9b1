#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/similarity/baskets.h"
#include "core/similarity/parallel_for.h"

namespace offerd {

// InvalidArgument unless the offsets ascend from 0 to the number of items, every item is below num_items, and the
// weights are positive, finite and one a basket. At most 2^32 - 2 baskets and entries.
absl::Status CheckBaskets(const Baskets& baskets, ParallelFor parallel_for);

// What counts of a data set: every basket with an item in it and at most `max_items` distinct ones (0 = any number).
struct BasketSummary {
  size_t baskets = 0;
  size_t baskets_too_long = 0;
  uint64_t entries = 0;                // distinct items of each, added up
  double weight = 0;                   // of the counted baskets
  bool has_repeats = false;            // an item stands twice in a basket
  std::vector<uint32_t> item_baskets;  // for each item the counted baskets that hold it
};
BasketSummary SummariseBaskets(const Baskets& baskets, size_t max_items, ParallelFor parallel_for);

// The counted baskets, each item once, without items in fewer than `min_item_baskets`. Some may be left empty.
Baskets CopyCounted(const Baskets& baskets, const BasketSummary& summary, size_t max_items, double min_item_baskets);

// For each item the baskets that hold it, ascending; a basket stands there as often as the item stands in it.
struct BasketIndex {
  std::vector<uint32_t> offsets;  // num_items + 1
  std::vector<uint32_t> baskets;

  absl::Span<const uint32_t> operator[](TableItem item) const {
    return absl::MakeConstSpan(baskets).subspan(offsets[item], offsets[item + 1] - offsets[item]);
  }
};
BasketIndex InvertBaskets(const Baskets& baskets, ParallelFor parallel_for);

}  // namespace offerd
