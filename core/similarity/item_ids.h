#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/similarity/baskets.h"

namespace offerd {

// The ids of a table's items, both ways, over flat arrays as they lie in memory and in a mapped artefact.
//
// Shapes   offsets: n + 1; id i is bytes[offsets[i] .. offsets[i + 1]). slots: a power of two, at least 2 n, of open addressing: number
//          + 1 of the id whose StableHash(id) begins the search there, 0 = free, next slot after a collision.
// Threads  Immutable bytes owned by somebody else.
struct ItemIdsView {
  absl::Span<const uint64_t> offsets;
  absl::string_view bytes;
  absl::Span<const uint32_t> slots;

  size_t size() const { return offsets.empty() ? 0 : offsets.size() - 1; }
  absl::string_view IdOf(TableItem item) const { return bytes.substr(offsets[item], offsets[item + 1] - offsets[item]); }
  std::optional<TableItem> Find(absl::string_view id) const;
};

// The same, owned: made once from the ids in the order of their numbers, all distinct.
struct ItemIds {
  explicit ItemIds(absl::Span<const std::string> ids);
  ItemIdsView view() const { return {offsets, bytes, slots}; }

  std::vector<uint64_t> offsets;
  std::string bytes;
  std::vector<uint32_t> slots;
};

}  // namespace offerd
