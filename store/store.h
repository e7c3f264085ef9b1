#pragma once
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "core/types.h"
#include "offerd/v1/stored.pb.h"
#include "store/kv.h"

namespace offerd {

struct StoreOptions {
  int64_t min_free_bytes = 64 << 20;  // below this it does not open, and writes are refused
  bool read_only = false;             // beside a running server: sees what was written before it was opened
};

struct BaseInfo {
  enum class State : uint8_t { kUnverified, kSound, kDamaged };
  v1::stored::BaseManifest manifest;  // only the sequence where the manifest itself is damaged
  State state = State::kUnverified;
  std::string detail;  // of damage
};
absl::string_view BaseStateText(BaseInfo::State state);  // unverified, sound, damaged

// A customer whose ids are still to be taken out of the log up to a record.
struct PendingErasure {
  std::string customer_id;
  Sequence upto = 0;
  Sequence next = 0;  // first log record that was not looked at yet
};

// The log, the indexes over it, and bases (whole states after one log record), as framed records: docs/store.md.
//
// Threads  Append: one writer thread. Bases, purging, finishing erasures, backups: one other thread, beside Append. Reads
//          and MarkErasurePending: any thread.
// Errors   DataLoss names family and key of what is damaged; nothing damaged is ever returned. Unavailable: the disk is full
//          or fails, and nothing of the call is visible. A read-only store answers every change with FailedPrecondition.
class Store {
 public:
  // An empty Kv becomes a store; one of another format, or with a gap at the end of the log, is refused.
  static absl::StatusOr<std::unique_ptr<Store>> Open(std::unique_ptr<Kv> kv, const StoreOptions& options);
  // The store in a directory, with RocksDB.
  static absl::StatusOr<std::unique_ptr<Store>> OpenAt(const std::string& path, const StoreOptions& options);
  ~Store();

  // --- Log ---

  Sequence first_sequence() const {
    return first_sequence_.load(std::memory_order_acquire);
  }  // oldest kept; else the next
  Sequence last_sequence() const { return last_sequence_.load(std::memory_order_acquire); }  // 0 = the log is empty

  // Atomic. The sequences continue the log without a gap, else InvalidArgument. Enters the ids of decisions, and of
  // events whose fate is not DUPLICATE, LATE or REFUSED.
  absl::Status Append(absl::Span<const v1::stored::LogRecord* const> records, bool sync);

  // seen: one an element of ids, in order.
  absl::Status HasEvents(absl::Span<const absl::string_view> ids, std::vector<bool>& seen) const;
  absl::StatusOr<bool> HasDecision(absl::string_view decision_id) const;  // also where its log record is gone by now
  // Its log time, also where the record is gone. Empty: nobody knows the decision, or its id was purged.
  absl::StatusOr<std::optional<int64_t>> DecisionTime(absl::string_view decision_id) const;
  absl::StatusOr<std::optional<v1::stored::LogRecord>> ReadRecord(Sequence sequence) const;
  absl::StatusOr<std::optional<v1::stored::LogRecord>> ReadDecision(absl::string_view decision_id) const;
  // Calls visit for every record of [from, to] in order; `to` may be past the end. A gap or damage is DataLoss with the
  // sequence, a `from` before first_sequence OutOfRange. Whatever visit returns that is not OK ends the walk and is
  // returned.
  absl::Status ReadLog(Sequence from, Sequence to,
                       absl::FunctionRef<absl::Status(const v1::stored::LogRecord&)> visit) const;
  // The same for the decisions among them that are not older than `oldest`, in micros; other records are checked and not parsed.
  // Returns whether any record of the range, of whatever kind, is not older.
  absl::StatusOr<bool> ReadDecisions(Sequence from, Sequence to, int64_t oldest,
                                     absl::FunctionRef<absl::Status(const v1::stored::LogRecord&)> visit) const;

  // --- Bases ---

  // Writes one base in pieces. The first record is the header. Dropped before Finish, there is no base, and what was
  // written is swept by the next BeginBase or Open. One at a time; the store outlives it.
  class BaseWriter {
   public:
    ~BaseWriter();
    absl::Status Add(const v1::stored::BaseRecord& record);
    absl::StatusOr<v1::stored::BaseManifest> Finish();  // durable, and listed as unverified

   private:
    friend class Store;
    struct Progress;
    BaseWriter(Store* store, Sequence sequence, int64_t created_micros);
    Store* store_;
    std::unique_ptr<Progress> progress_;
  };
  // InvalidArgument past the end of the log, AlreadyExists where there is one, also a damaged one.
  absl::StatusOr<std::unique_ptr<BaseWriter>> BeginBase(Sequence sequence, int64_t created_micros);

  std::vector<BaseInfo> ListBases() const;  // newest first
  // Reads all of it again and marks it sound, or damaged: then it stays on the disk and is no longer read. DataLoss
  // says why.
  absl::Status VerifyBase(Sequence sequence);
  // In the order written. Checks while reading, so what was visited counts only once this returns OK. Damage marks the
  // base as VerifyBase does.
  absl::Status ReadBase(Sequence sequence, absl::FunctionRef<absl::Status(const v1::stored::BaseRecord&)> visit);
  absl::Status DeleteBase(Sequence sequence);
  // Once `keep` (>= 1) sound bases exist: deletes bases older than the oldest of them (except damaged ones), then the
  // log that it covers. With fewer nothing happens, so log goes only where a sound base and keep - 1 newer ones exist.
  // Log from `keep_log_from` on stays in any case.
  absl::Status KeepNewestBases(int keep, Sequence keep_log_from = UINT64_MAX);
  // The oldest kept record whose log time is not before the given one; last_sequence() + 1 where there is none. O(log n) reads.
  absl::StatusOr<Sequence> FirstSince(int64_t micros) const;

  // --- Upkeep ---

  // Forget ids whose record's log time is before the given one. A bounded part of the ids per call, the next one goes
  // on from there; true: the end was reached. An entry that cannot be read stays, is counted, and the purge goes on.
  absl::StatusOr<bool> PurgeSeen(int64_t before_micros);
  absl::StatusOr<bool> PurgeDecisions(int64_t before_micros);
  int64_t damaged_entries() const { return damaged_entries_.load(std::memory_order_relaxed); }  // met by purges so far

  // Erasure: mark when the erasing record is in the log; finish needs a sound base at or after it (else
  // FailedPrecondition: replay must not need the stripped records). Finishing strips the ids from all records up to
  // `upto`, or up to `through` where that is later (decisions that were waiting for the log when the person was erased stand
  // behind the erasing record), deletes older bases and then the mark. Both are idempotent; one that was interrupted goes on
  // where it was.
  absl::Status MarkErasurePending(absl::string_view customer_id, Sequence upto);
  absl::StatusOr<std::vector<PendingErasure>> PendingErasures() const;
  absl::Status FinishErasure(absl::string_view customer_id, Sequence upto, Sequence through = 0);

  absl::Status Flush() { return kv_->Flush(); }
  absl::Status Resume() { return kv_->Resume(); }

  // --- Backups of a store in a directory; they share unchanged files. ---

  absl::StatusOr<BackupInfo> CreateBackup(const std::string& dir);
  static absl::StatusOr<std::vector<BackupInfo>> ListBackups(const std::string& dir);  // oldest first
  static absl::Status KeepNewestBackups(const std::string& dir, int keep);             // keep >= 1
  static absl::Status VerifyBackup(const std::string& dir, uint32_t id);               // DataLoss; reads every byte
  static absl::Status RestoreBackup(const std::string& dir, uint32_t id,
                                    const std::string& to);  // `to` is absent or empty

  std::map<std::string, int64_t> Statistics() const;  // those of the Kv and first_sequence, last_sequence, bases

 private:
  Store(std::unique_ptr<Kv> kv, const StoreOptions& options);

  absl::Status WalkLog(Sequence from, Sequence to, absl::FunctionRef<absl::Status(absl::string_view, absl::string_view)> visit) const;  // key, framed
  absl::Status CheckFormat();
  absl::Status FindLogEnds();
  absl::Status LoadBases();
  absl::Status CheckWritable() const;
  absl::Status PutInMeta(absl::string_view key, const std::string& payload);
  absl::StatusOr<bool> PurgeIndex(Family family, int64_t before_micros, std::string& cursor);
  absl::Status StripErased(const PendingErasure& erasure, Sequence through);
  absl::Status SweepUnlistedBases();
  absl::Status ReadAllOfBase(Sequence sequence, absl::FunctionRef<absl::Status(const v1::stored::BaseRecord&)> visit,
                             bool& is_damage) const;
  absl::Status SetBaseState(Sequence sequence, BaseInfo::State state, const std::string& detail);
  absl::StatusOr<BaseInfo> GetBase(Sequence sequence) const;  // NotFound

  // Fixed after construction.
  const std::unique_ptr<Kv> kv_;
  const bool read_only_;

  // Written by the writer thread (last) and the upkeep thread (first) once their records are; release and acquire, so
  // that who sees a number also finds the record.
  std::atomic<Sequence> first_sequence_{1};
  std::atomic<Sequence> last_sequence_{0};
  std::atomic<bool> is_writing_base_{false};
  std::atomic<int64_t> damaged_entries_{0};  // relaxed: stands alone

  // Upkeep thread only.
  std::string purge_seen_cursor_;
  std::string purge_decisions_cursor_;

  mutable absl::Mutex mu_;
  std::map<Sequence, BaseInfo> bases_ ABSL_GUARDED_BY(mu_);  // as on the disk
};

}  // namespace offerd
