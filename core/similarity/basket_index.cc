#include "core/similarity/basket_index.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"

namespace offerd {
namespace {

constexpr uint32_t kNoBasket = std::numeric_limits<uint32_t>::max();
constexpr size_t kMostParts = 16;

// So many parts of the baskets that the counters of all parts together stay small beside the entries.
size_t NumParts(const Baskets& baskets) {
  return std::clamp<size_t>(baskets.items.size() / (8 * (baskets.num_items + 1)), 1, kMostParts);
}

size_t PartBegin(const Baskets& baskets, size_t part, size_t parts) { return baskets.size() * part / parts; }

absl::Status CheckPart(const Baskets& baskets, size_t begin, size_t end) {
  for (size_t b = begin; b < end; ++b) {
    if (baskets.offsets[b + 1] < baskets.offsets[b] || baskets.offsets[b + 1] > baskets.items.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("basket ", b, ": its end is before its start or after the last item"));
    }
    for (TableItem item : baskets[b]) {
      if (item >= baskets.num_items) {
        return absl::InvalidArgumentError(
            absl::StrCat("basket ", b, ": item ", item, " is not below num_items ", baskets.num_items));
      }
    }
    if (!baskets.weights.empty() && !(baskets.weights[b] > 0 && std::isfinite(baskets.weights[b]))) {
      return absl::InvalidArgumentError(
          absl::StrCat("basket ", b, ": expected a positive weight, found ", baskets.weights[b]));
    }
  }
  return absl::OkStatus();
}

// Writes the distinct items of a basket to `distinct`; last_seen[item] is the last basket that was asked for.
size_t DistinctItems(absl::Span<const TableItem> basket, uint32_t number, std::vector<uint32_t>& last_seen,
                     std::vector<TableItem>& distinct) {
  if (distinct.size() < basket.size()) distinct.resize(basket.size());
  size_t size = 0;
  for (TableItem item : basket) {
    distinct[size] = item;
    size += last_seen[item] != number;
    last_seen[item] = number;
  }
  return size;
}

void SummarisePart(const Baskets& baskets, size_t max_items, size_t begin, size_t end, BasketSummary& part) {
  part.item_baskets.assign(baskets.num_items, 0);
  std::vector<uint32_t> last_seen(baskets.num_items, kNoBasket);
  std::vector<TableItem> distinct;
  for (size_t b = begin; b < end; ++b) {
    const size_t size = DistinctItems(baskets[b], static_cast<uint32_t>(b), last_seen, distinct);
    if (size == 0) continue;
    if (max_items != 0 && size > max_items) {
      ++part.baskets_too_long;
      continue;
    }
    part.has_repeats |= size < baskets[b].size();
    ++part.baskets;
    part.entries += size;
    part.weight += baskets.weights.empty() ? 1 : baskets.weights[b];
    for (size_t k = 0; k < size; ++k) ++part.item_baskets[distinct[k]];
  }
}

}  // namespace

absl::Status CheckBaskets(const Baskets& baskets, ParallelFor parallel_for) {
  if (baskets.offsets.empty() || baskets.offsets.front() != 0 || baskets.offsets.back() != baskets.items.size()) {
    return absl::InvalidArgumentError("baskets: the offsets do not run from 0 to the number of items");
  }
  if (baskets.items.size() >= kNoBasket || baskets.size() >= kNoBasket || baskets.num_items >= kNoBasket) {
    return absl::InvalidArgumentError(absl::StrCat("baskets: ", baskets.size(), " baskets of ", baskets.items.size(),
                                                   " entries: expected fewer than ", kNoBasket, " of each"));
  }
  if (!baskets.weights.empty() && baskets.weights.size() != baskets.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("baskets: ", baskets.size(), " baskets, but ", baskets.weights.size(), " weights"));
  }
  const size_t parts = NumParts(baskets);
  std::vector<absl::Status> statuses(parts);
  parallel_for(parts, [&](size_t part) {
    statuses[part] = CheckPart(baskets, PartBegin(baskets, part, parts), PartBegin(baskets, part + 1, parts));
  });
  for (const absl::Status& status : statuses) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

BasketSummary SummariseBaskets(const Baskets& baskets, size_t max_items, ParallelFor parallel_for) {
  const size_t count = NumParts(baskets);
  std::vector<BasketSummary> parts(count);
  parallel_for(count, [&](size_t part) {
    SummarisePart(baskets, max_items, PartBegin(baskets, part, count), PartBegin(baskets, part + 1, count),
                  parts[part]);
  });
  BasketSummary sum = std::move(parts[0]);
  for (size_t part = 1; part < count; ++part) {
    sum.baskets += parts[part].baskets;
    sum.baskets_too_long += parts[part].baskets_too_long;
    sum.entries += parts[part].entries;
    sum.weight += parts[part].weight;
    sum.has_repeats |= parts[part].has_repeats;
    for (size_t i = 0; i < baskets.num_items; ++i) sum.item_baskets[i] += parts[part].item_baskets[i];
  }
  return sum;
}

Baskets CopyCounted(const Baskets& baskets, const BasketSummary& summary, size_t max_items, double min_item_baskets) {
  Baskets copy;
  copy.num_items = baskets.num_items;
  copy.items.reserve(summary.entries);
  copy.offsets.reserve(summary.baskets + 1);
  if (!baskets.weights.empty()) copy.weights.reserve(summary.baskets);
  std::vector<uint32_t> last_seen(baskets.num_items, kNoBasket);
  std::vector<TableItem> distinct;
  for (size_t b = 0; b < baskets.size(); ++b) {
    const size_t size = DistinctItems(baskets[b], static_cast<uint32_t>(b), last_seen, distinct);
    if (size == 0 || (max_items != 0 && size > max_items)) continue;
    for (size_t k = 0; k < size; ++k) {
      if (summary.item_baskets[distinct[k]] >= min_item_baskets) copy.items.push_back(distinct[k]);
    }
    copy.offsets.push_back(copy.items.size());
    if (!baskets.weights.empty()) copy.weights.push_back(baskets.weights[b]);
  }
  return copy;
}

BasketIndex InvertBaskets(const Baskets& baskets, ParallelFor parallel_for) {
  const size_t parts = NumParts(baskets);
  const size_t num_items = baskets.num_items;
  // next[part][item]: first the entries of the item in the part, then where the part's next one goes.
  std::vector<std::vector<uint32_t>> next(parts);
  parallel_for(parts, [&](size_t part) {
    next[part].assign(num_items, 0);
    const uint64_t end = baskets.offsets[PartBegin(baskets, part + 1, parts)];
    for (uint64_t e = baskets.offsets[PartBegin(baskets, part, parts)]; e < end; ++e) ++next[part][baskets.items[e]];
  });
  BasketIndex index;
  index.offsets.reserve(num_items + 1);
  uint32_t total = 0;
  for (size_t i = 0; i < num_items; ++i) {
    index.offsets.push_back(total);
    for (std::vector<uint32_t>& counts : next) {
      const uint32_t count = counts[i];
      counts[i] = total;
      total += count;
    }
  }
  index.offsets.push_back(total);
  index.baskets.resize(total);
  parallel_for(parts, [&](size_t part) {
    const size_t end = PartBegin(baskets, part + 1, parts);
    for (size_t b = PartBegin(baskets, part, parts); b < end; ++b) {
      for (TableItem item : baskets[b]) index.baskets[next[part][item]++] = static_cast<uint32_t>(b);
    }
  });
  return index;
}

}  // namespace offerd
