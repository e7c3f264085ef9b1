#include "store/rocks_kv.h"

#include <fcntl.h>
#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/backup_engine.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "store/keys.h"

namespace offerd {
namespace {

namespace fs = std::filesystem;

rocksdb::Slice ToSlice(absl::string_view text) { return {text.data(), text.size()}; }
absl::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

absl::Status ToStatus(const rocksdb::Status& status, absl::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = absl::StrCat(what, ": ", status.ToString());
  if (status.IsCorruption()) return absl::DataLossError(message);
  if (status.IsIOError() || status.IsNoSpace() || status.IsBusy() || status.IsTryAgain() ||
      status.IsShutdownInProgress()) {
    return absl::UnavailableError(message);
  }
  if (status.IsInvalidArgument()) return absl::InvalidArgumentError(message);
  if (status.IsNotFound()) return absl::NotFoundError(message);
  if (status.IsNotSupported()) return absl::FailedPreconditionError(message);
  return absl::InternalError(message);
}

// -1 where it cannot be told.
int64_t FreeBytes(const std::string& path) {
  struct statvfs info;
  if (statvfs(path.c_str(), &info) != 0) return -1;
  return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
}

absl::Status CheckFree(const std::string& path, int64_t min_free_bytes) {
  const int64_t free_bytes = FreeBytes(path);
  if (free_bytes >= min_free_bytes) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("disk of '", path, "' has ", free_bytes, " bytes free, needed are ", min_free_bytes));
}

// Of zstd: 2.5 times as fast as its usual level 3, and decisions take .388 of their bytes in place of .367. Every record is compressed
// once, while requests are answered.
constexpr int kCompressionLevel = -1;

// The log is written all the time and read seldom; what bases hold is read whole at each start, where LZ4 saves half of the time.
rocksdb::CompressionType BestCompression(Family family) {
  const std::vector<rocksdb::CompressionType> supported = rocksdb::GetSupportedCompressions();
  const rocksdb::CompressionType first = family == Family::kLog ? rocksdb::kZSTD : rocksdb::kLZ4Compression;
  for (const rocksdb::CompressionType wanted : {first, rocksdb::kZSTD, rocksdb::kLZ4Compression}) {
    if (std::find(supported.begin(), supported.end(), wanted) != supported.end()) return wanted;
  }
  return rocksdb::kNoCompression;
}

rocksdb::DBOptions DatabaseOptions() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  // A torn end is what power loss leaves behind; damage before it must not silently drop what follows, so it is an
  // error.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.track_and_verify_wals_in_manifest = true;
  options.paranoid_checks = true;
  options.max_total_wal_size = 256 << 20;
  options.max_open_files = 1000;
  options.keep_log_file_num = 4;
  options.max_log_file_size = 4 << 20;
  options.avoid_flush_during_shutdown = true;  // the write-ahead log has it
  return options;
}

rocksdb::ColumnFamilyOptions FamilyOptions(Family family, const RocksKvOptions& options,
                                           const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.format_version = 5;
  rocksdb::ColumnFamilyOptions result;
  result.write_buffer_size = static_cast<size_t>(options.write_buffer_bytes);
  result.compression = rocksdb::kNoCompression;
  if (family == Family::kSeen || family == Family::kDecisions) {
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10, false));
    result.memtable_prefix_bloom_size_ratio = 0.02;
    result.memtable_whole_key_filtering = true;
  } else {
    result.compression = BestCompression(family);
    if (result.compression == rocksdb::kZSTD) result.compression_opts.level = kCompressionLevel;
    table.block_size = 16 << 10;  // read in order
  }
  result.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return result;
}

// Where opening begins: what is in the directory already.
struct Place {
  bool exists = false;     // the directory does
  bool has_store = false;  // RocksDB has been here
};

absl::StatusOr<Place> LookAt(const std::string& path) {
  std::error_code error;
  Place place;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    const fs::path parent = fs::absolute(path).parent_path();
    if (!fs::is_directory(parent, error)) {
      return absl::InvalidArgumentError(absl::StrCat("'", path, "': its parent is not a directory"));
    }
    return place;
  }
  if (!fs::is_directory(status)) return absl::InvalidArgumentError(absl::StrCat("'", path, "' is not a directory"));
  place.exists = true;
  place.has_store = fs::exists(fs::path(path) / "CURRENT", error);
  if (place.has_store) return place;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code vanished;
    if (name == "tables" && entry->is_directory(vanished)) continue;  // built before the first start
    const bool is_unfinished_store = name == "lost+found" || name == "IDENTITY" || absl::StartsWith(name, "LOG") ||
                                     name == "LOCK" || absl::StartsWith(name, "MANIFEST-") ||
                                     absl::StartsWith(name, "OPTIONS-") || absl::EndsWith(name, ".dbtmp");
    if (!is_unfinished_store) {
      return absl::FailedPreconditionError(
          absl::StrCat("'", path, "' is no store and not empty: it holds '", name, "'"));
    }
  }
  if (error) return absl::UnavailableError(absl::StrCat("'", path, "' cannot be read: ", error.message()));
  return place;
}

// Holds the directory against other processes, and against a second open in this one. RocksDB has its own lock, but
// asks for it only after it has moved its files about.
class DirectoryLock {
 public:
  DirectoryLock() = default;
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;
  ~DirectoryLock() {
    if (file_ >= 0) close(file_);
  }

  absl::Status Take(const std::string& path) {
    file_ = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file_ < 0) {
      return absl::UnavailableError(
          absl::StrCat("'", path, "' cannot be opened: ", std::generic_category().message(errno)));
    }
    if (flock(file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      return absl::AbortedError(absl::StrCat("store '", path, "' is locked: it is open in another process"));
    }
    return absl::OkStatus();
  }

 private:
  int file_ = -1;
};

class RocksIterator : public KvIterator {
 public:
  RocksIterator(Family family, rocksdb::DB* db, rocksdb::ColumnFamilyHandle* handle, absl::string_view from,
                absl::string_view to)
      : family_(family), to_(to), upper_(to_) {
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    options.readahead_size = 256 << 10;
    if (!to_.empty()) options.iterate_upper_bound = &upper_;
    iterator_.reset(db->NewIterator(options, handle));
    iterator_->Seek(ToSlice(from));
  }

  bool valid() const override { return iterator_->Valid(); }
  void Next() override { iterator_->Next(); }
  absl::string_view key() const override { return ToView(iterator_->key()); }
  absl::string_view value() const override { return ToView(iterator_->value()); }
  absl::Status status() const override { return ToStatus(iterator_->status(), FamilyName(family_)); }

 private:
  const Family family_;
  const std::string to_;
  const rocksdb::Slice upper_;  // of to_, which RocksDB keeps a pointer to
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

class RocksKv : public Kv {
 public:
  RocksKv(std::string path, const RocksKvOptions& options) : path_(std::move(path)), options_(options) {}

  ~RocksKv() override {
    for (rocksdb::ColumnFamilyHandle* handle : handles_) (void)db_->DestroyColumnFamilyHandle(handle).ok();
    if (db_ != nullptr) (void)db_->Close().ok();
  }

  absl::Status Open() {
    ASSIGN_OR_RETURN(const Place place, LookAt(path_));
    if (options_.read_only && !place.has_store) return absl::NotFoundError(absl::StrCat("no store in '", path_, "'"));
    if (!options_.read_only) {
      RETURN_IF_ERROR(
          CheckFree(place.exists ? path_ : fs::absolute(path_).parent_path().string(), options_.min_free_bytes));
    }
    if (place.has_store) RETURN_IF_ERROR(CheckFamilies());
    std::error_code error;
    const bool is_created = !place.exists && fs::create_directory(path_, error);
    if (error) return absl::UnavailableError(absl::StrCat("'", path_, "' cannot be created: ", error.message()));
    absl::Status status = options_.read_only ? absl::OkStatus() : lock_.Take(path_);
    if (status.ok()) status = OpenDatabase();
    if (!status.ok() && is_created) fs::remove(path_, error);  // only if it is still empty
    return status;
  }

  absl::Status Write(const KvBatch& batch, bool sync) override {
    if (options_.read_only) return absl::FailedPreconditionError("store is open for reading only");
    rocksdb::WriteBatch changes;
    for (const KvBatch::Operation& operation : batch.operations()) {
      rocksdb::Status added;
      switch (operation.kind) {
        case KvBatch::Kind::kPut:
          added = changes.Put(handle(operation.family), operation.key, operation.value);
          break;
        case KvBatch::Kind::kDelete:
          added = changes.Delete(handle(operation.family), operation.key);
          break;
        case KvBatch::Kind::kDeleteRange:
          if (operation.key < operation.value) {
            added = changes.DeleteRange(handle(operation.family), operation.key, operation.value);
          }
          break;
      }
      RETURN_IF_ERROR(ToStatus(added, FamilyName(operation.family)));
    }
    RETURN_IF_ERROR(CheckRoom(static_cast<int64_t>(changes.GetDataSize())));
    rocksdb::WriteOptions options;
    options.sync = sync;
    return ToStatus(db_->Write(options, &changes), "write");
  }

  absl::StatusOr<std::optional<std::string>> Read(Family family, absl::string_view key) const override {
    std::string value;
    const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), handle(family), ToSlice(key), &value);
    if (status.IsNotFound()) return std::nullopt;
    RETURN_IF_ERROR(ReadError(status, family, key));
    return value;
  }

  absl::Status MultiRead(Family family, absl::Span<const absl::string_view> keys,
                         std::vector<std::optional<std::string>>& values) const override {
    values.assign(keys.size(), std::nullopt);
    std::vector<rocksdb::Slice> slices(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) slices[i] = ToSlice(keys[i]);
    std::vector<rocksdb::PinnableSlice> found(keys.size());
    std::vector<rocksdb::Status> statuses(keys.size());
    db_->MultiGet(rocksdb::ReadOptions(), handle(family), keys.size(), slices.data(), found.data(), statuses.data());
    for (size_t i = 0; i < keys.size(); ++i) {
      if (statuses[i].IsNotFound()) continue;
      RETURN_IF_ERROR(ReadError(statuses[i], family, keys[i]));
      values[i] = found[i].ToString();
    }
    return absl::OkStatus();
  }

  std::unique_ptr<KvIterator> Iterate(Family family, absl::string_view from, absl::string_view to) const override {
    return std::make_unique<RocksIterator>(family, db_.get(), handle(family), from, to);
  }

  absl::StatusOr<std::optional<std::string>> ReadLastKey(Family family) const override {
    const std::unique_ptr<rocksdb::Iterator> iterator(db_->NewIterator(rocksdb::ReadOptions(), handle(family)));
    iterator->SeekToLast();
    if (iterator->Valid()) return iterator->key().ToString();
    RETURN_IF_ERROR(ToStatus(iterator->status(), FamilyName(family)));
    return std::nullopt;
  }

  absl::Status Flush() override {
    if (options_.read_only) return absl::FailedPreconditionError("store is open for reading only");
    return ToStatus(db_->Flush(rocksdb::FlushOptions(), handles_), "flush");
  }

  absl::Status Resume() override {
    RETURN_IF_ERROR(CheckFree(path_, options_.min_free_bytes));
    return ToStatus(db_->Resume(), "resume");
  }

  absl::StatusOr<BackupInfo> CreateBackup(const std::string& dir, uint64_t last_sequence) override;

  std::map<std::string, int64_t> Statistics() const override {
    std::map<std::string, int64_t> result;
    int64_t bytes_on_disk = 0;
    std::error_code error;
    for (fs::directory_iterator entry(path_, error), end; !error && entry != end; entry.increment(error)) {
      std::error_code gone;  // files come and go
      const auto size = entry->file_size(gone);
      if (!gone) bytes_on_disk += static_cast<int64_t>(size);
    }
    result["bytes_on_disk"] = bytes_on_disk;
    result["free_bytes"] = FreeBytes(path_);
    const std::pair<const char*, const char*> properties[] = {
        {"memtable_bytes", "rocksdb.cur-size-all-mem-tables"},      {"block_cache_bytes", "rocksdb.block-cache-usage"},
        {"running_compactions", "rocksdb.num-running-compactions"}, {"background_errors", "rocksdb.background-errors"},
        {"is_write_stopped", "rocksdb.is-write-stopped"},
    };
    for (const auto& [name, property] : properties) {
      uint64_t value = 0;
      const bool is_summed = absl::string_view(name) == "memtable_bytes";
      if (is_summed ? db_->GetAggregatedIntProperty(property, &value) : db_->GetIntProperty(property, &value)) {
        result[name] = static_cast<int64_t>(value);
      }
    }
    return result;
  }

 private:
  rocksdb::ColumnFamilyHandle* handle(Family family) const { return handles_[1 + static_cast<size_t>(family)]; }

  static absl::Status ReadError(const rocksdb::Status& status, Family family, absl::string_view key) {
    if (status.ok()) return absl::OkStatus();
    return ToStatus(status, absl::StrCat(FamilyName(family), " ", KeyText(family, key)));
  }

  // A store of ours has exactly our families; fewer after a crash while it was made.
  absl::Status CheckFamilies() const {
    std::vector<std::string> names;
    RETURN_IF_ERROR(ToStatus(rocksdb::DB::ListColumnFamilies(DatabaseOptions(), path_, &names),
                             absl::StrCat("store '", path_, "'")));
    for (const std::string& name : names) {
      const bool is_ours = name == rocksdb::kDefaultColumnFamilyName ||
                           std::any_of(std::begin(kAllFamilies), std::end(kAllFamilies),
                                       [&](Family family) { return FamilyName(family) == name; });
      if (!is_ours) {
        return absl::FailedPreconditionError(absl::StrCat(
            "'", path_, "' is a database of another program or version: it has the column family '", name, "'"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status OpenDatabase() {
    const std::shared_ptr<rocksdb::Cache> cache = rocksdb::NewLRUCache(static_cast<size_t>(options_.block_cache_bytes));
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    families.emplace_back(rocksdb::kDefaultColumnFamilyName, rocksdb::ColumnFamilyOptions());
    for (const Family family : kAllFamilies) {
      families.emplace_back(std::string(FamilyName(family)), FamilyOptions(family, options_, cache));
    }
    rocksdb::DB* db = nullptr;
    const rocksdb::Status status =
        options_.read_only ? rocksdb::DB::OpenForReadOnly(DatabaseOptions(), path_, families, &handles_, &db)
                           : rocksdb::DB::Open(DatabaseOptions(), path_, families, &handles_, &db);
    db_.reset(db);
    return ToStatus(status, absl::StrCat("store '", path_, "'"));
  }

  // Looks at the disk once per megabyte, and at every write while there is no room.
  absl::Status CheckRoom(int64_t bytes) {
    const int64_t since_check = bytes_since_check_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    if (since_check < kBytesBetweenChecks) return absl::OkStatus();
    RETURN_IF_ERROR(CheckFree(path_, options_.min_free_bytes + bytes));
    bytes_since_check_.store(0, std::memory_order_relaxed);
    return absl::OkStatus();
  }

  static constexpr int64_t kBytesBetweenChecks = 1 << 20;

  // Fixed after Open. lock_ is the last to go.
  const std::string path_;
  const RocksKvOptions options_;
  DirectoryLock lock_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;  // "default", which stays empty, then ours in order

  // Relaxed: nothing else depends on the moment of a check.
  std::atomic<int64_t> bytes_since_check_{kBytesBetweenChecks};
};

BackupInfo ToBackupInfo(const rocksdb::BackupInfo& info) {
  BackupInfo result;
  result.id = info.backup_id;
  result.created_micros = info.timestamp * 1'000'000;
  result.bytes = static_cast<int64_t>(info.size);
  result.files = static_cast<int64_t>(info.number_files);
  if (!absl::SimpleAtoi(info.app_metadata, &result.last_sequence)) result.last_sequence = 0;
  return result;
}

absl::StatusOr<BackupInfo> RocksKv::CreateBackup(const std::string& dir, uint64_t last_sequence) {
  std::error_code error;
  if (fs::exists(dir, error) ? !fs::is_directory(dir, error) : !fs::create_directory(dir, error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("backup directory '", dir, "' is no directory and cannot be made one"));
  }
  RETURN_IF_ERROR(CheckFree(dir, options_.min_free_bytes));
  rocksdb::BackupEngineOptions options(dir);
  options.sync = true;
  options.share_table_files = true;
  options.share_files_with_checksum = true;
  rocksdb::BackupEngine* opened = nullptr;
  const std::string what = absl::StrCat("backup in '", dir, "'");
  RETURN_IF_ERROR(ToStatus(rocksdb::BackupEngine::Open(rocksdb::Env::Default(), options, &opened), what));
  const std::unique_ptr<rocksdb::BackupEngine> engine(opened);
  rocksdb::CreateBackupOptions create;
  create.flush_before_backup = true;
  rocksdb::BackupID id = 0;
  RETURN_IF_ERROR(
      ToStatus(engine->CreateNewBackupWithMetadata(create, db_.get(), absl::StrCat(last_sequence), &id), what));
  rocksdb::BackupInfo info;
  RETURN_IF_ERROR(ToStatus(engine->GetBackupInfo(id, &info), what));
  return ToBackupInfo(info);
}

absl::StatusOr<std::unique_ptr<rocksdb::BackupEngineReadOnly>> OpenBackups(const std::string& dir) {
  std::error_code error;
  if (!fs::is_directory(fs::path(dir) / "meta", error)) {
    return absl::NotFoundError(absl::StrCat("'", dir, "' holds no backups"));
  }
  rocksdb::BackupEngineReadOnly* opened = nullptr;
  RETURN_IF_ERROR(
      ToStatus(rocksdb::BackupEngineReadOnly::Open(rocksdb::Env::Default(), rocksdb::BackupEngineOptions(dir), &opened),
               absl::StrCat("backups in '", dir, "'")));
  return std::unique_ptr<rocksdb::BackupEngineReadOnly>(opened);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Kv>> OpenRocksKv(const std::string& path, const RocksKvOptions& options) {
  auto kv = std::make_unique<RocksKv>(path, options);
  RETURN_IF_ERROR(kv->Open());
  return std::unique_ptr<Kv>(std::move(kv));
}

absl::StatusOr<std::vector<BackupInfo>> ListRocksBackups(const std::string& dir) {
  ASSIGN_OR_RETURN(const std::unique_ptr<rocksdb::BackupEngineReadOnly> engine, OpenBackups(dir));
  std::vector<rocksdb::BackupInfo> sound;
  engine->GetBackupInfo(&sound);
  std::vector<rocksdb::BackupID> damaged;
  engine->GetCorruptedBackups(&damaged);
  std::vector<BackupInfo> result;
  for (const rocksdb::BackupInfo& info : sound) result.push_back(ToBackupInfo(info));
  for (const rocksdb::BackupID id : damaged) {
    result.emplace_back().id = id;
    result.back().damaged = true;
  }
  std::sort(result.begin(), result.end(), [](const BackupInfo& a, const BackupInfo& b) { return a.id < b.id; });
  return result;
}

absl::Status PruneRocksBackups(const std::string& dir, uint32_t keep) {
  rocksdb::BackupEngine* opened = nullptr;
  const std::string what = absl::StrCat("backups in '", dir, "'");
  const rocksdb::BackupEngineOptions options(dir);
  RETURN_IF_ERROR(ToStatus(rocksdb::BackupEngine::Open(rocksdb::Env::Default(), options, &opened), what));
  const std::unique_ptr<rocksdb::BackupEngine> engine(opened);
  return ToStatus(engine->PurgeOldBackups(keep), what);
}

absl::Status VerifyRocksBackup(const std::string& dir, uint32_t id) {
  ASSIGN_OR_RETURN(const std::unique_ptr<rocksdb::BackupEngineReadOnly> engine, OpenBackups(dir));
  const std::string what = absl::StrCat("backup ", id, " in '", dir, "'");
  const rocksdb::Status status = engine->VerifyBackup(id, /*verify_with_checksum=*/true);
  // A file that is absent or of another length is damage as well, only an unknown id is not.
  std::vector<rocksdb::BackupInfo> known;
  engine->GetBackupInfo(&known);
  const bool is_known = std::any_of(known.begin(), known.end(), [&](const auto& info) { return info.backup_id == id; });
  if (!status.ok() && is_known) return absl::DataLossError(absl::StrCat(what, ": ", status.ToString()));
  return ToStatus(status, what);
}

absl::Status RestoreRocksBackup(const std::string& dir, uint32_t id, const std::string& to) {
  RETURN_IF_ERROR(VerifyRocksBackup(dir, id));
  std::error_code error;
  if (fs::exists(to, error) && (!fs::is_directory(to, error) || !fs::is_empty(to, error))) {
    return absl::FailedPreconditionError(absl::StrCat("'", to, "' is not an empty directory: nothing restored"));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<rocksdb::BackupEngineReadOnly> engine, OpenBackups(dir));
  return ToStatus(engine->RestoreDBFromBackup(id, to, to), absl::StrCat("restore of backup ", id, " from '", dir, "'"));
}

}  // namespace offerd
