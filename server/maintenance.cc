#include "server/maintenance.h"

#include <sys/resource.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "core/status_macros.h"
#include "server/log.h"
#include "store/records.h"
#include "store/state_records.h"

namespace offerd {
namespace {

// Loading a large table or writing a base takes a core for seconds: those who answer requests go first where cores are few.
constexpr int kNice = 10;

constexpr absl::Duration kTick = absl::Seconds(1);
constexpr absl::Duration kPurgePause = absl::Milliseconds(50);  // between the steps of a pass
constexpr TimeMicros kPurgeMicros = 60 * kMicrosPerSecond;      // between two passes

}  // namespace

v1::Snapshot ToProto(const BaseInfo& base) {
  v1::Snapshot snapshot;
  snapshot.set_sequence(base.manifest.sequence());
  *snapshot.mutable_created() = ToTimestamp(base.manifest.created_micros());
  snapshot.set_records(base.manifest.records());
  snapshot.set_bytes(base.manifest.bytes());
  snapshot.set_checksum(absl::StrFormat("%016x", base.manifest.checksum()));
  snapshot.set_state(std::string(BaseStateText(base.state)));
  snapshot.set_detail(base.detail);
  return snapshot;
}

Maintenance::Maintenance(const ServerConfig& config, Store* store, Writer* writer, Metrics* metrics, Snapshot<State>* snapshot,
                         std::function<TimeMicros()> now_micros)
    : config_(config),
      store_(store),
      writer_(writer),
      metrics_(metrics),
      snapshot_(snapshot),
      now_micros_(std::move(now_micros)) {
  for (const BaseInfo& base : store_->ListBases()) {
    if (base.state != BaseInfo::State::kSound) continue;
    metrics_->SetSnapshotTime(base.manifest.created_micros());
    break;
  }
}

Maintenance::~Maintenance() { Stop(); }

void Maintenance::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Maintenance::Stop() {
  if (!thread_.joinable()) return;
  {
    absl::MutexLock lock(&mu_);
    is_stopping_ = true;
    wake_.Signal();
  }
  thread_.join();
}

void Maintenance::Enqueue(std::function<void()> job, std::function<void()> refuse) {
  {
    absl::MutexLock lock(&mu_);
    if (!is_stopping_) {
      jobs_.push_back({std::move(job), std::move(refuse)});
      wake_.Signal();
      return;
    }
  }
  if (refuse) refuse();
}

void Maintenance::Run() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);  // a wish; in Linux of this thread alone
  const TimeMicros interval = config_.snapshot_interval_seconds * kMicrosPerSecond;
  Due base;
  base.Wait(now_micros_(), interval);
  bool is_purging = false;
  absl::Time tick = absl::Now();
  FinishErasures();  // those that a crash interrupted
  for (;;) {
    Job job;
    {
      absl::MutexLock lock(&mu_);
      if (jobs_.empty() && !is_stopping_) wake_.WaitWithTimeout(&mu_, is_purging ? kPurgePause : kTick);
      if (is_stopping_) break;
      if (!jobs_.empty()) {
        job = std::move(jobs_.front());
        jobs_.pop_front();
      }
    }
    if (on_tick_ && absl::Now() >= tick) {
      tick = absl::Now() + kTick;
      on_tick_();
    }
    if (job.run) {
      job.run();
      continue;
    }
    is_purging = Purge();
    if (!base.Is(now_micros_())) continue;
    base.Wait(now_micros_(), interval);
    const auto made = MakeBase();
    if (!made.ok() && !absl::IsAlreadyExists(made.status())) {
      Log(LogLevel::kError, "snapshot_failed", {{"reason", made.status().ToString()}});
    }
    if (erasures_pending() > 0) FinishErasures();
  }
  std::deque<Job> left;
  {
    absl::MutexLock lock(&mu_);
    left.swap(jobs_);
  }
  for (Job& job : left) {
    if (job.refuse) job.refuse();
  }
}

absl::StatusOr<std::shared_ptr<FoldImage>> Maintenance::AskForImage() {
  auto image = std::make_shared<std::shared_ptr<FoldImage>>();
  auto ready = std::make_shared<absl::Notification>();
  auto status = std::make_shared<absl::Status>();
  ASSIGN_OR_RETURN(const std::vector<PendingErasure> pending, store_->PendingErasures());
  Writer::Task task;
  // Decisions that came behind the erasing record wait for the person's purchases: what is written now must not name them either.
  task.plan = [pending](Writer::Plan& plan) {
    for (const PendingErasure& erasure : pending) {
      if (!plan.fold().HasOpenDecisionsOf(erasure.customer_id)) continue;
      v1::stored::LogRecord record;
      record.set_customer_erased(erasure.customer_id);
      (void)plan.Log(std::move(record), plan.log_now(), true);  // a failure is the write's, which finish hears of
    }
  };
  task.finish = [image, ready, status](const absl::Status& written, const Fold& fold) {
    *status = written;
    if (written.ok()) *image = std::make_shared<FoldImage>(fold.Image());
    ready->Notify();
  };
  RETURN_IF_ERROR(writer_->SubmitUpkeep(std::move(task)));
  ready->WaitForNotification();
  RETURN_IF_ERROR(*status);
  return *image;
}

absl::StatusOr<v1::Snapshot> Maintenance::MakeBase() {
  ASSIGN_OR_RETURN(std::shared_ptr<FoldImage> image, AskForImage());
  auto result = WriteBase(*image);
  // The writer destroys the image: it alone changes what the image shares.
  Writer::Task give_back;
  give_back.finish = [kept = std::move(image)](const absl::Status&, const Fold&) {};
  // Also while the store fails. Refused only when the writer has ended, and then nobody shares anything.
  (void)writer_->SubmitUpkeep(std::move(give_back));
  return result;
}

absl::StatusOr<v1::Snapshot> Maintenance::WriteBase(const FoldImage& image) {
  const TimeMicros begin = now_micros_();
  const Sequence sequence = image.state.sequence;
  for (const BaseInfo& base : store_->ListBases()) {
    if (base.manifest.sequence() == sequence && base.state == BaseInfo::State::kSound) return ToProto(base);
  }
  ASSIGN_OR_RETURN(auto writer, store_->BeginBase(sequence, begin));
  RETURN_IF_ERROR(WriteImage(image, *writer));
  ASSIGN_OR_RETURN(const auto manifest, writer->Finish());
  RETURN_IF_ERROR(store_->VerifyBase(sequence));
  metrics_->Record(Timer::kSnapshot, now_micros_() - begin);
  metrics_->SetSnapshotTime(begin);
  Log(LogLevel::kInfo, "snapshot_created",
      {{"sequence", sequence}, {"records", manifest.records()}, {"bytes", manifest.bytes()}, {"micros", now_micros_() - begin}});
  RETURN_IF_ERROR(store_->KeepNewestBases(config_.snapshots_kept, KeepLogFrom()));
  return Describe(sequence);
}

// Evidence gives way to the shop's own data: while the disk is filling up, only what bases need is kept.
Sequence Maintenance::KeepLogFrom() const {
  constexpr int64_t kTimesLeast = 16;
  if (config_.log_retention_seconds == 0) return UINT64_MAX;
  const std::map<std::string, int64_t> disk = store_->Statistics();
  const auto free_bytes = disk.find("free_bytes");
  if (free_bytes != disk.end() && free_bytes->second / kTimesLeast < config_.min_free_bytes) {
    Log(LogLevel::kWarning, "log_shortened", {{"free_bytes", free_bytes->second}});
    return UINT64_MAX;
  }
  const auto since = store_->FirstSince(snapshot_->Get()->now - config_.log_retention_seconds * kMicrosPerSecond);
  return since.ok() ? *since : store_->first_sequence();
}

absl::StatusOr<v1::Snapshot> Maintenance::Describe(Sequence sequence) const {
  for (const BaseInfo& base : store_->ListBases()) {
    if (base.manifest.sequence() == sequence || sequence == 0) return ToProto(base);
  }
  return absl::NotFoundError(sequence == 0 ? std::string("there is no snapshot") : absl::StrCat("no snapshot at sequence ", sequence));
}

void Maintenance::CreateSnapshot(SnapshotDone done) {
  const auto answer = std::make_shared<SnapshotDone>(std::move(done));
  Enqueue(
      [this, answer] {
        auto made = MakeBase();
        if (made.ok() && !config_.backup_path.empty()) {
          const auto backup = store_->CreateBackup(config_.backup_path);
          if (!backup.ok()) {
            (*answer)(backup.status());
            return;
          }
          made->set_detail(absl::StrCat("backup ", backup->id, " in ", config_.backup_path));
          const absl::Status pruned = Store::KeepNewestBackups(config_.backup_path, config_.snapshots_kept);
          if (!pruned.ok()) Log(LogLevel::kWarning, "backups_not_pruned", {{"reason", pruned.ToString()}});
        }
        (*answer)(std::move(made));
      },
      [answer] { (*answer)(absl::UnavailableError("the server is stopping")); });
}

void Maintenance::VerifySnapshot(Sequence sequence, SnapshotDone done) {
  const auto answer = std::make_shared<SnapshotDone>(std::move(done));
  Enqueue(
      [this, answer, sequence] {
        auto found = Describe(sequence);
        if (found.ok()) {
          (void)store_->VerifyBase(found->sequence());  // the outcome is in the base's state
          found = Describe(found->sequence());
        }
        (*answer)(std::move(found));
      },
      [answer] { (*answer)(absl::UnavailableError("the server is stopping")); });
}

void Maintenance::Erase(std::string customer_id, Sequence sequence) {
  erasures_pending_.fetch_add(1, std::memory_order_relaxed);
  // At once: a base that covers the erasing record may be written before the job runs, and then only the mark remembers.
  const bool is_marked = store_->MarkErasurePending(customer_id, sequence).ok();
  Enqueue(
      [this, customer_id = std::move(customer_id), sequence, is_marked] {
        const absl::Status marked = is_marked ? absl::OkStatus() : store_->MarkErasurePending(customer_id, sequence);
        if (!marked.ok()) Log(LogLevel::kError, "erasure_failed", {{"sequence", sequence}, {"reason", marked.ToString()}});
        FinishErasures();
      },
      nullptr);
}

void Maintenance::FinishErasures() {
  const auto pending = store_->PendingErasures();
  if (!pending.ok()) {
    Log(LogLevel::kError, "erasure_failed", {{"reason", pending.status().ToString()}});
    return;
  }
  erasures_pending_.store(static_cast<int64_t>(pending->size()), std::memory_order_relaxed);
  if (pending->empty()) return;
  // Replay must not need what is stripped. What was queued when the customer was erased stands before the base in the log, and is
  // stripped with the rest.
  const auto base = MakeBase();
  if (!base.ok()) {
    Log(LogLevel::kError, "erasure_failed", {{"reason", base.status().ToString()}});
    return;
  }
  for (const PendingErasure& erasure : *pending) {
    const absl::Status finished = store_->FinishErasure(erasure.customer_id, erasure.upto, base->sequence());
    if (!finished.ok()) {
      Log(LogLevel::kError, "erasure_failed", {{"sequence", erasure.upto}, {"reason", finished.ToString()}});
      continue;
    }
    erasures_pending_.fetch_sub(1, std::memory_order_relaxed);
    Log(LogLevel::kInfo, "erasure_finished", {{"sequence", erasure.upto}});
  }
}

// A pass goes through both indexes in steps of a bounded number of ids, so that jobs need not wait for it.
bool Maintenance::Purge() {
  if (!purge_.Is(now_micros_())) return false;
  const TimeMicros before = snapshot_->Get()->now - config_.event_id_lifetime_seconds * kMicrosPerSecond;
  const auto step = [](absl::StatusOr<bool> is_end) {
    if (!is_end.ok()) Log(LogLevel::kWarning, "purge_failed", {{"reason", is_end.status().ToString()}});
    return !is_end.ok() || *is_end;  // after a failure the next pass goes on from there
  };
  if (!is_seen_purged_) is_seen_purged_ = step(store_->PurgeSeen(before));
  if (!are_decisions_purged_) are_decisions_purged_ = step(store_->PurgeDecisions(before));
  const int64_t damaged = store_->damaged_entries();
  metrics_->Add(Counter::kDamagedEntries, static_cast<uint64_t>(damaged - damaged_entries_));
  damaged_entries_ = damaged;
  if (!is_seen_purged_ || !are_decisions_purged_) return true;
  is_seen_purged_ = are_decisions_purged_ = false;
  purge_.Wait(now_micros_(), kPurgeMicros);
  return false;
}

absl::Status Maintenance::CreateLastSnapshot() {
  return MakeBase().status();
}

}  // namespace offerd
