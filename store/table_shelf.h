#pragma once
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "core/learn/fold.h"
#include "core/similarity/list_table.h"
#include "store/file_bytes.h"

namespace offerd {

// The tables below one folder that somebody has in memory: each version once, for as long as anybody reads it.
//
// Threads  Any. Loading is not done under the lock: two callers may load the same version, and one of the two copies is kept.
class TableShelf {
 public:
  explicit TableShelf(std::string root, TableMemory memory = TableMemory::kCopied) : root_(std::move(root)), memory_(memory) {}

  // Version 0 = the newest. Errors as LoadTable.
  absl::StatusOr<std::shared_ptr<const ListTable>> Load(absl::string_view name, uint64_t version);

  // For the fold: what is in memory at once, else from disk; null when missing, damaged or not the one that was published.
  // Lives as long as the shelf.
  TableSource Source();

  const std::string& root() const { return root_; }

 private:
  using Key = std::pair<std::string, uint64_t>;

  const std::string root_;
  const TableMemory memory_;
  absl::Mutex mu_;
  std::map<Key, std::weak_ptr<const ListTable>> loaded_ ABSL_GUARDED_BY(mu_);
};

}  // namespace offerd
