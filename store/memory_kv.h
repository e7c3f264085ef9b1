#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "store/kv.h"

namespace offerd {

// A Kv that lives in memory and forgets everything: for tests and the thread sanitizer.
//
// Threads  Safe. An iterator reads a copy of its range, made when it was created.
class MemoryKv : public Kv {
 public:
  absl::Status Write(const KvBatch& batch, bool sync) override;
  absl::StatusOr<std::optional<std::string>> Read(Family family, absl::string_view key) const override;
  absl::Status MultiRead(Family family, absl::Span<const absl::string_view> keys,
                         std::vector<std::optional<std::string>>& values) const override;
  std::unique_ptr<KvIterator> Iterate(Family family, absl::string_view from, absl::string_view to) const override;
  absl::StatusOr<std::optional<std::string>> ReadLastKey(Family family) const override;
  absl::Status Flush() override { return absl::OkStatus(); }
  absl::StatusOr<BackupInfo> CreateBackup(const std::string& dir, uint64_t last_sequence) override;
  std::map<std::string, int64_t> Statistics() const override;

 private:
  using Entries = std::map<std::string, std::string, std::less<>>;

  mutable absl::Mutex mu_;
  Entries families_[kNumFamilies] ABSL_GUARDED_BY(mu_);
};

}  // namespace offerd
