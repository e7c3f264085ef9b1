#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "core/check.h"
#include "store/kv.h"
#include "store/memory_kv.h"

namespace offerd {

// A disk that goes wrong on command. It outlives the Kvs mounted on it, as a disk outlives a process:
//
//   FaultDisk disk;
//   auto store = Store::Open(disk.Mount(), {});
//   disk.FailWrites(3);      // the third write from now on, and all after it, fail until RepairWrites
//   store->reset();
//   disk.LosePower();        // back to the last synced write
//   store = Store::Open(disk.Mount(), {});
//
// Threads  Safe. LosePower: while nothing is mounted.
class FaultDisk {
 public:
  explicit FaultDisk(std::unique_ptr<Kv> kv = std::make_unique<MemoryKv>()) : kv_(std::move(kv)) {
    CopyAll(*kv_, durable_);
  }

  std::unique_ptr<Kv> Mount() { return std::make_unique<MountedKv>(this); }

  // The nth write from now (1 = the next) and every later one is refused and changes nothing.
  void FailWrites(int64_t nth) {
    absl::MutexLock lock(&mu_);
    fail_at_ = num_writes_ + nth;
  }
  void RepairWrites() {
    absl::MutexLock lock(&mu_);
    fail_at_ = INT64_MAX;
  }

  // Everything since the last synced write is gone.
  void LosePower() {
    auto kv = std::make_unique<MemoryKv>();
    absl::MutexLock lock(&mu_);
    CopyAll(durable_, *kv);
    kv_ = std::move(kv);
    unsynced_.clear();
  }

  // Flips bits of one byte of a stored value, behind the store's back; position counts from the end where negative.
  absl::Status Corrupt(Family family, absl::string_view key, int64_t position, uint8_t bits = 0x01) {
    absl::MutexLock lock(&mu_);
    const absl::StatusOr<std::optional<std::string>> value = kv_->Read(family, key);
    if (!value.ok()) return value.status();
    if (!value->has_value()) return absl::NotFoundError("no such key");
    std::string bytes = **value;
    const int64_t at = position < 0 ? position + static_cast<int64_t>(bytes.size()) : position;
    if (at < 0 || at >= static_cast<int64_t>(bytes.size())) return absl::OutOfRangeError("no such byte");
    bytes[static_cast<size_t>(at)] = static_cast<char>(bytes[static_cast<size_t>(at)] ^ bits);
    KvBatch batch;
    batch.Put(family, key, bytes);
    return kv_->Write(batch, true);
  }

  // Writes wait, until they are released.
  void StallWrites() {
    absl::MutexLock lock(&mu_);
    is_running_ = false;
  }
  void ReleaseWrites() {
    absl::MutexLock lock(&mu_);
    is_running_ = true;
  }
  void AwaitStalledWrite() {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&is_write_waiting_));
  }

  int64_t num_writes() const {
    absl::MutexLock lock(&mu_);
    return num_writes_;
  }

 private:
  class MountedKv : public Kv {
   public:
    explicit MountedKv(FaultDisk* disk) : disk_(disk) {}
    absl::Status Write(const KvBatch& batch, bool sync) override { return disk_->Write(batch, sync); }
    absl::StatusOr<std::optional<std::string>> Read(Family family, absl::string_view key) const override {
      return disk_->kv().Read(family, key);
    }
    absl::Status MultiRead(Family family, absl::Span<const absl::string_view> keys,
                           std::vector<std::optional<std::string>>& values) const override {
      return disk_->kv().MultiRead(family, keys, values);
    }
    std::unique_ptr<KvIterator> Iterate(Family family, absl::string_view from, absl::string_view to) const override {
      return disk_->kv().Iterate(family, from, to);
    }
    absl::StatusOr<std::optional<std::string>> ReadLastKey(Family family) const override {
      return disk_->kv().ReadLastKey(family);
    }
    absl::Status Flush() override { return disk_->Write(KvBatch(), true); }
    absl::StatusOr<BackupInfo> CreateBackup(const std::string& dir, uint64_t last_sequence) override {
      return disk_->kv().CreateBackup(dir, last_sequence);
    }
    std::map<std::string, int64_t> Statistics() const override { return disk_->kv().Statistics(); }

   private:
    FaultDisk* const disk_;
  };

  absl::Status Write(const KvBatch& batch, bool sync) {
    absl::MutexLock lock(&mu_);
    if (!is_running_) {
      is_write_waiting_ = true;
      mu_.Await(absl::Condition(&is_running_));
      is_write_waiting_ = false;
    }
    if (++num_writes_ >= fail_at_) return absl::UnavailableError("the disk fails, as told");
    const absl::Status status = kv_->Write(batch, sync);
    if (!status.ok()) return status;
    unsynced_.push_back(batch);
    if (!sync) return absl::OkStatus();
    for (const KvBatch& written : unsynced_) CHECK(durable_.Write(written, true).ok());
    unsynced_.clear();
    return absl::OkStatus();
  }

  Kv& kv() const {
    absl::MutexLock lock(&mu_);
    return *kv_;
  }

  static void CopyAll(const Kv& from, Kv& to) {
    KvBatch batch;
    for (const Family family : kAllFamilies) {
      for (auto entry = from.Iterate(family, "", ""); entry->valid(); entry->Next()) {
        batch.Put(family, entry->key(), std::string(entry->value()));
      }
    }
    CHECK(to.Write(batch, true).ok());
  }

  mutable absl::Mutex mu_;
  std::unique_ptr<Kv> kv_ ABSL_GUARDED_BY(mu_);  // what a running process sees
  std::vector<KvBatch> unsynced_ ABSL_GUARDED_BY(mu_);
  int64_t num_writes_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t fail_at_ ABSL_GUARDED_BY(mu_) = INT64_MAX;
  bool is_running_ ABSL_GUARDED_BY(mu_) = true;
  bool is_write_waiting_ ABSL_GUARDED_BY(mu_) = false;
  MemoryKv durable_;  // what a power loss leaves
};

}  // namespace offerd
