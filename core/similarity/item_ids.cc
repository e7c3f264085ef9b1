#include "core/similarity/item_ids.h"

#include "core/hash.h"

namespace offerd {

std::optional<TableItem> ItemIdsView::Find(absl::string_view id) const {
  if (slots.empty()) return std::nullopt;
  const size_t mask = slots.size() - 1;
  for (size_t at = StableHash(id) & mask;; at = (at + 1) & mask) {
    if (slots[at] == 0) return std::nullopt;
    const TableItem item = slots[at] - 1;
    if (IdOf(item) == id) return item;
  }
}

ItemIds::ItemIds(absl::Span<const std::string> ids) {
  size_t capacity = 2;
  while (capacity < 2 * ids.size()) capacity *= 2;
  slots.assign(capacity, 0);
  offsets.reserve(ids.size() + 1);
  offsets.push_back(0);
  for (size_t i = 0; i < ids.size(); ++i) {
    bytes += ids[i];
    offsets.push_back(bytes.size());
    size_t at = StableHash(ids[i]) & (capacity - 1);
    while (slots[at] != 0) at = (at + 1) & (capacity - 1);
    slots[at] = static_cast<uint32_t>(i + 1);
  }
}

}  // namespace offerd
