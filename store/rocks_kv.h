#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "store/kv.h"

// The only door to RocksDB: no other file of ours includes it.
namespace offerd {

struct RocksKvOptions {
  int64_t min_free_bytes = 64 << 20;
  bool read_only = false;
  int64_t block_cache_bytes = 64 << 20;
  int64_t write_buffer_bytes = 32 << 20;  // per family
};

// Opens or creates a store in a directory; the parent exists. Errors are one line each and leave the directory as it
// was: InvalidArgument (not a directory, no parent), FailedPrecondition (holds other files, other families), Aborted
// (another process has it open), NotFound (read only, and nothing there), Unavailable (less than min_free_bytes free:
// RocksDB aborts the process when the disk fills up while it opens, so this is looked at before), DataLoss.
//
// Writes are refused with Unavailable while less than min_free_bytes are free, and go on once there is room again.
absl::StatusOr<std::unique_ptr<Kv>> OpenRocksKv(const std::string& path, const RocksKvOptions& options);

// Backups as Kv::CreateBackup makes them. NotFound: no such directory or id.
absl::StatusOr<std::vector<BackupInfo>> ListRocksBackups(const std::string& dir);
absl::Status PruneRocksBackups(const std::string& dir, uint32_t keep);  // all but the newest
absl::Status VerifyRocksBackup(const std::string& dir, uint32_t id);
absl::Status RestoreRocksBackup(const std::string& dir, uint32_t id, const std::string& to);

}  // namespace offerd
