#include "core/lists/remembered_numbers.h"

namespace offerd {

std::vector<ItemIndex>& RememberedNumbers::Of(const ListTable& table) {
  for (Table& known : tables_) {
    if (known.table == &table && known.numbers.size() == table.ids.size()) return known.numbers;
  }
  if (tables_.size() < kMaxTables) {
    tables_.emplace_back();
    oldest_ = tables_.size() - 1;
  } else {
    oldest_ = (oldest_ + 1) % kMaxTables;
  }
  Table& added = tables_[oldest_];
  added.table = &table;
  added.numbers.assign(table.ids.size(), kNoItem);
  return added.numbers;
}

ItemIndex FindNumber(const Catalogue& catalogue, absl::string_view id, ItemIndex& remembered) {
  const auto at = static_cast<size_t>(remembered);
  if (at < catalogue.num_item_numbers() && catalogue.ItemAt(remembered).id.value() == id) return remembered;
  const ItemIndex* known = catalogue.FindItem(id);
  remembered = known == nullptr ? kNoItem : *known;
  return remembered;
}

}  // namespace offerd
