#include "store/memory_kv.h"

#include <utility>
#include <vector>

namespace offerd {
namespace {

class MemoryIterator : public KvIterator {
 public:
  explicit MemoryIterator(std::vector<std::pair<std::string, std::string>> entries) : entries_(std::move(entries)) {}
  bool valid() const override { return position_ < entries_.size(); }
  void Next() override { ++position_; }
  absl::string_view key() const override { return entries_[position_].first; }
  absl::string_view value() const override { return entries_[position_].second; }
  absl::Status status() const override { return absl::OkStatus(); }

 private:
  const std::vector<std::pair<std::string, std::string>> entries_;
  size_t position_ = 0;
};

}  // namespace

absl::Status MemoryKv::Write(const KvBatch& batch, bool /*sync*/) {
  absl::MutexLock lock(&mu_);
  for (const KvBatch::Operation& operation : batch.operations()) {
    Entries& entries = families_[static_cast<int>(operation.family)];
    switch (operation.kind) {
      case KvBatch::Kind::kPut:
        entries[operation.key] = operation.value;
        break;
      case KvBatch::Kind::kDelete:
        entries.erase(operation.key);
        break;
      case KvBatch::Kind::kDeleteRange:
        if (operation.key < operation.value) {
          entries.erase(entries.lower_bound(operation.key), entries.lower_bound(operation.value));
        }
        break;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> MemoryKv::Read(Family family, absl::string_view key) const {
  absl::MutexLock lock(&mu_);
  const Entries& entries = families_[static_cast<int>(family)];
  const auto found = entries.find(std::string(key));
  if (found == entries.end()) return std::nullopt;
  return found->second;
}

absl::Status MemoryKv::MultiRead(Family family, absl::Span<const absl::string_view> keys,
                                 std::vector<std::optional<std::string>>& values) const {
  values.assign(keys.size(), std::nullopt);
  absl::MutexLock lock(&mu_);
  const Entries& entries = families_[static_cast<int>(family)];
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto found = entries.find(std::string(keys[i]));
    if (found != entries.end()) values[i] = found->second;
  }
  return absl::OkStatus();
}

std::unique_ptr<KvIterator> MemoryKv::Iterate(Family family, absl::string_view from, absl::string_view to) const {
  std::vector<std::pair<std::string, std::string>> copy;
  absl::MutexLock lock(&mu_);
  const Entries& entries = families_[static_cast<int>(family)];
  for (auto it = entries.lower_bound(std::string(from)); it != entries.end() && (to.empty() || it->first < to); ++it) {
    copy.emplace_back(it->first, it->second);
  }
  return std::make_unique<MemoryIterator>(std::move(copy));
}

absl::StatusOr<std::optional<std::string>> MemoryKv::ReadLastKey(Family family) const {
  absl::MutexLock lock(&mu_);
  const Entries& entries = families_[static_cast<int>(family)];
  if (entries.empty()) return std::nullopt;
  return entries.rbegin()->first;
}

absl::StatusOr<BackupInfo> MemoryKv::CreateBackup(const std::string& /*dir*/, uint64_t /*last_sequence*/) {
  return absl::UnimplementedError("a store in memory has no backups");
}

std::map<std::string, int64_t> MemoryKv::Statistics() const {
  absl::MutexLock lock(&mu_);
  int64_t bytes = 0;
  for (const Entries& entries : families_) {
    for (const auto& [key, value] : entries) bytes += static_cast<int64_t>(key.size() + value.size());
  }
  return {{"bytes_on_disk", bytes}, {"free_bytes", INT64_MAX}};
}

}  // namespace offerd
