#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace offerd {

// The column families of a store, in the order of docs/store.md. Numbers are not stored, names are.
enum class Family : uint8_t { kLog, kDecisions, kSeen, kPolicies, kProfiles, kCatalog, kTables, kMeta };
inline constexpr int kNumFamilies = 8;
inline constexpr Family kAllFamilies[kNumFamilies] = {Family::kLog,      Family::kDecisions, Family::kSeen,
                                                      Family::kPolicies, Family::kProfiles,  Family::kCatalog,
                                                      Family::kTables,   Family::kMeta};
absl::string_view FamilyName(Family family);

// Changes that happen together or not at all, in the order they were added.
class KvBatch {
 public:
  enum class Kind : uint8_t { kPut, kDelete, kDeleteRange };
  struct Operation {
    Kind kind;
    Family family;
    std::string key;    // of a range: its first key
    std::string value;  // of a range: the first key after it
  };

  void Put(Family family, absl::string_view key, std::string value);
  void Delete(Family family, absl::string_view key);
  void DeleteRange(Family family, absl::string_view from,
                   absl::string_view to);  // [from, to); one cheap mark, not a scan
  void Clear() { operations_.clear(); }

  bool empty() const { return operations_.empty(); }
  const std::vector<Operation>& operations() const { return operations_; }

 private:
  std::vector<Operation> operations_;
};

// Walks a range forwards over the state at the time it was made. key and value hold until Next. After the last element,
// or at a failure, valid() is false and status() says which of the two it was.
class KvIterator {
 public:
  virtual ~KvIterator() = default;
  virtual bool valid() const = 0;
  virtual void Next() = 0;
  virtual absl::string_view key() const = 0;
  virtual absl::string_view value() const = 0;
  virtual absl::Status status() const = 0;
};

struct BackupInfo {
  uint32_t id = 0;
  int64_t created_micros = 0;  // wall time, whole seconds
  int64_t bytes = 0;
  int64_t files = 0;
  uint64_t last_sequence = 0;  // of the log
  bool damaged = false;        // its description cannot be read
};

// Ordered byte strings in families: what Store needs of a disk. RocksKv is the disk, MemoryKv the tests' twin.
//
// Threads  Safe; Write may run beside everything else.
// Errors   DataLoss: bytes are damaged. Unavailable: the disk is full or fails; nothing of the batch is visible.
class Kv {
 public:
  virtual ~Kv() = default;

  // Atomic. With sync it is on the disk when this returns, and so is every write before it.
  virtual absl::Status Write(const KvBatch& batch, bool sync) = 0;
  virtual absl::StatusOr<std::optional<std::string>> Read(Family family, absl::string_view key) const = 0;
  // values: one an element of keys, in order.
  virtual absl::Status MultiRead(Family family, absl::Span<const absl::string_view> keys,
                                 std::vector<std::optional<std::string>>& values) const = 0;
  // Keys in [from, to); an empty `to` means to the end.
  virtual std::unique_ptr<KvIterator> Iterate(Family family, absl::string_view from, absl::string_view to) const = 0;
  virtual absl::StatusOr<std::optional<std::string>> ReadLastKey(Family family) const = 0;
  virtual absl::Status Flush() = 0;  // everything written is on the disk
  // Tries to take writes again after a failure. Unavailable while the cause is still there.
  virtual absl::Status Resume() { return absl::OkStatus(); }

  // Adds a backup to the directory and returns its description. Unimplemented where there is no disk.
  virtual absl::StatusOr<BackupInfo> CreateBackup(const std::string& dir, uint64_t last_sequence) = 0;

  // Named numbers for metrics: bytes_on_disk, free_bytes and others of the implementation.
  virtual std::map<std::string, int64_t> Statistics() const = 0;
};

}  // namespace offerd
