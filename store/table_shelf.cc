#include "store/table_shelf.h"

#include "core/status_macros.h"
#include "store/table_artefact.h"

namespace offerd {

absl::StatusOr<std::shared_ptr<const ListTable>> TableShelf::Load(absl::string_view name, uint64_t version) {
  ASSIGN_OR_RETURN(std::shared_ptr<const ListTable> table, LoadTable(root_, name, version, memory_));
  absl::MutexLock lock(&mu_);
  std::weak_ptr<const ListTable>& known = loaded_[{table->name, table->version}];
  if (std::shared_ptr<const ListTable> before = known.lock(); before != nullptr && before->checksum == table->checksum) return before;
  known = table;
  return table;
}

TableSource TableShelf::Source() {
  return [this](const TablePublished& published) -> std::shared_ptr<const ListTable> {
    {
      absl::MutexLock lock(&mu_);
      const auto known = loaded_.find({published.name, published.version});
      if (known != loaded_.end()) {
        if (auto table = known->second.lock(); table != nullptr && table->checksum == published.checksum) return table;
      }
    }
    auto table = Load(published.name, published.version);
    if (!table.ok() || (*table)->checksum != published.checksum) return nullptr;
    return *std::move(table);
  };
}

}  // namespace offerd
