#include "server/writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "core/check.h"
#include "core/status_macros.h"
#include "server/log.h"
#include "store/records.h"

namespace offerd {
namespace {

constexpr size_t kMaxBatch = 4096;
constexpr absl::Duration kIdleWait = absl::Milliseconds(5);   // decisions wake nobody: they wait at most this long
constexpr absl::Duration kRetryWait = absl::Milliseconds(100);
constexpr int64_t kPublicationShare = 20;  // a publication of c microseconds is followed by at least 19 c without one

}  // namespace

TimeMicros Writer::Plan::log_now() const {
  return writer_.config_.clock == ServerConfig::Clock::kWall ? now_ : std::max<TimeMicros>(fold().state().now, 0);
}

absl::StatusOr<Sequence> Writer::Plan::Log(v1::stored::LogRecord record, TimeMicros time, bool sync) {
  const Sequence sequence = fold().state().sequence + 1;
  record.set_sequence(sequence);
  record.set_time_micros(time);
  ASSIGN_OR_RETURN(const LogEntry entry, FromProto(record));
  const absl::Status applied = writer_.fold_->Apply(entry);
  CHECK(applied.ok());
  if (record.has_event()) seen_.insert(record.event().event().event_id());
  writer_.pending_.push_back(std::make_unique<v1::stored::LogRecord>(std::move(record)));
  writer_.pending_sync_ |= sync;
  return sequence;
}

bool Writer::Plan::IsSeen(const std::string& event_id) const { return seen_.contains(event_id); }

absl::StatusOr<bool> Writer::Plan::KnowsDecision(const std::string& decision_id) const {
  for (const auto& record : writer_.pending_) {  // logged, and not yet where the store would find it
    if (record->has_decision() && record->decision().decision_id() == decision_id) return true;
  }
  return writer_.store_->HasDecision(decision_id);
}

absl::StatusOr<Sequence> Writer::Plan::Publish(const std::string& policy, bool kept) {
  const TimeMicros begin = writer_.now_micros_();
  ASSIGN_OR_RETURN(const Publication publication, writer_.fold_->Prepare(policy, kept));
  v1::stored::LogRecord record;
  *record.mutable_publication() = ToProto(publication);
  auto sequence = Log(std::move(record), log_now(), kept);
  const TimeMicros cost = writer_.now_micros_() - begin;
  writer_.metrics_->RecordPublication(policy, cost);
  const PolicyState* state = fold().state().FindPolicy(policy);
  const int64_t interval = int64_t{1000} * state->policy.publish_every_ms;
  writer_.schedules_[policy].next = begin + std::max(interval, cost * kPublicationShare);
  return sequence;
}

Writer::Writer(const ServerConfig& config, Store* store, std::unique_ptr<Fold> fold, Metrics* metrics,
               Snapshot<State>* snapshot, std::function<TimeMicros()> now_micros)
    : config_(config),
      store_(store),
      metrics_(metrics),
      snapshot_(snapshot),
      now_micros_(std::move(now_micros)),
      fold_(std::move(fold)),
      reported_(fold_->state().counters) {
  PublishState();
}

Writer::~Writer() { Stop(); }

void Writer::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Writer::Stop() {
  if (!thread_.joinable()) return;
  {
    absl::MutexLock lock(&mu_);
    is_stopping_ = true;
    wake_.Signal();
  }
  thread_.join();
}

absl::Status Writer::Submit(Task task) { return Enqueue(std::move(task), /*is_bound=*/true); }
absl::Status Writer::SubmitUpkeep(Task task) { return Enqueue(std::move(task), /*is_bound=*/false); }

bool Writer::HasRoom() const {
  return queue_.size() < static_cast<size_t>(config_.max_queued_records) && queued_bytes_ < config_.max_queued_bytes;
}

absl::Status Writer::Enqueue(Task task, bool is_bound) {
  if (is_failing()) return absl::UnavailableError(absl::StrCat("the store does not take writes: ", store_error()));
  absl::MutexLock lock(&mu_);
  if (is_stopped_) return absl::UnavailableError("the server is stopping");
  if (is_bound && !HasRoom()) return absl::ResourceExhaustedError("the queue to the store is full: try again later");
  const int64_t bytes = task.bytes;
  queued_bytes_ += bytes;
  queue_.push_back({now_micros_(), 0, bytes, nullptr, std::move(task)});
  wake_.Signal();
  return absl::OkStatus();
}

bool Writer::SubmitDecision(std::unique_ptr<v1::stored::LogRecord> record, TimeMicros time) {
  if (!is_failing()) {
    const int64_t bytes = static_cast<int64_t>(record->ByteSizeLong());
    absl::MutexLock lock(&mu_);
    if (!is_stopped_ && HasRoom()) {
      queued_bytes_ += bytes;
      queue_.push_back({now_micros_(), time, bytes, std::move(record), {}});
      queued_decisions_.fetch_add(1, std::memory_order_relaxed);
      return true;
    }
  }
  dropped_.fetch_add(1, std::memory_order_relaxed);
  metrics_->Add(Counter::kDroppedDecisions);
  return false;
}

std::string Writer::store_error() const {
  absl::MutexLock lock(&mu_);
  return store_error_;
}

int64_t Writer::queued() const {
  absl::MutexLock lock(&mu_);
  return static_cast<int64_t>(queue_.size());
}

int64_t Writer::oldest_queued_micros() const {
  absl::MutexLock lock(&mu_);
  return queue_.empty() ? 0 : queue_.front().submitted;
}

std::vector<Writer::Queued> Writer::Take() {
  std::vector<Queued> batch;
  absl::MutexLock lock(&mu_);
  if (queue_.empty() && !is_stopping_) wake_.WaitWithTimeout(&mu_, kIdleWait);
  while (!queue_.empty() && batch.size() < kMaxBatch) {
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
    queued_bytes_ -= batch.back().bytes;
    if (batch.back().decision != nullptr) queued_decisions_.fetch_sub(1, std::memory_order_relaxed);
  }
  return batch;
}

void Writer::Run() {
  for (;;) {
    std::vector<Queued> batch = Take();
    Process(batch);
    if (!batch.empty()) continue;
    absl::MutexLock lock(&mu_);
    if (is_stopping_ && queue_.empty()) {
      is_stopped_ = true;
      return;
    }
  }
}

void Writer::ReadSeen(const std::vector<Queued>& batch, Plan& plan) {
  std::vector<absl::string_view> ids;
  for (const Queued& queued : batch) {
    for (const std::string& id : queued.task.event_ids) ids.push_back(id);
  }
  if (ids.empty()) return;
  std::vector<bool> seen;
  const absl::Status status = store_->HasEvents(ids, seen);
  if (!status.ok()) {
    // Without an answer an event could count twice: the batch is refused.
    absl::MutexLock lock(&mu_);
    store_error_ = std::string(status.message());
    is_failing_.store(true, std::memory_order_relaxed);
    return;
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    if (seen[i]) plan.seen_.emplace(ids[i]);
  }
}

void Writer::Refuse(std::vector<Queued>& batch, const absl::Status& status) {
  for (Queued& queued : batch) {
    if (queued.decision != nullptr) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
      metrics_->Add(Counter::kDroppedDecisions);
    }
    if (queued.task.finish) queued.task.finish(status, *fold_);
  }
  batch.clear();
}

void Writer::Process(std::vector<Queued>& batch) {
  Plan plan(*this, now_micros_());
  ReadSeen(batch, plan);
  if (is_failing()) {
    const bool was_idle = batch.empty();
    Refuse(batch, absl::UnavailableError(absl::StrCat("the store does not take writes: ", store_error())));
    if (pending_.empty()) is_failing_.store(false, std::memory_order_relaxed);  // a failed read: the next batch tries again
    if (!was_idle) return;
  }
  for (Queued& queued : batch) {
    if (queued.decision != nullptr) {
      const auto logged = plan.Log(std::move(*queued.decision), queued.decision_time,
                                   config_.durability == ServerConfig::Durability::kSynced);
      CHECK(logged.ok());
    }
    if (queued.task.plan) queued.task.plan(plan);
  }
  PublishNews(plan);
  if (config_.durability == ServerConfig::Durability::kAsync) PublishState();
  WriteUntilDone(batch);
  snapshot_->Sweep();
}

void Writer::PublishNews(Plan& plan) {
  std::vector<std::string> due;
  for (const auto& [name, learning] : fold_->learning()) {
    if (!learning.has_news || schedules_[name].next > plan.wall_now()) continue;
    const PolicyState* policy = fold_->state().FindPolicy(name);
    if (policy != nullptr && !policy->is_pinned) due.push_back(name);
  }
  for (const std::string& name : due) {
    const auto published = plan.Publish(name, false);
    if (!published.ok()) {
      // The old model stays. Not before a second has passed again, whatever the interval.
      schedules_[name].next = plan.wall_now() + kMicrosPerSecond;
      offerd::Log(LogLevel::kWarning, "publication_failed", {{"policy", name}, {"reason", published.status().ToString()}});
    }
  }
}

absl::Status Writer::Write() {
  if (pending_.empty()) return absl::OkStatus();
  std::vector<const v1::stored::LogRecord*> records;
  records.reserve(pending_.size());
  for (const auto& record : pending_) records.push_back(record.get());
  const TimeMicros begin = now_micros_();
  RETURN_IF_ERROR(store_->Append(records, pending_sync_));
  metrics_->Record(pending_sync_ ? Timer::kStoreSync : Timer::kStoreWrite, now_micros_() - begin);
  pending_.clear();
  pending_sync_ = false;
  return absl::OkStatus();
}

void Writer::WriteUntilDone(std::vector<Queued>& batch) {
  const bool had_records = !pending_.empty();
  absl::Status status = Write();
  if (status.ok()) {
    if (is_failing_.exchange(false, std::memory_order_relaxed)) offerd::Log(LogLevel::kInfo, "store_recovered");
    {
      absl::MutexLock lock(&mu_);
      store_error_.clear();
    }
    if (had_records) PublishState();
    for (Queued& queued : batch) {
      if (queued.task.finish) queued.task.finish(absl::OkStatus(), *fold_);
    }
    return;
  }
  {
    absl::MutexLock lock(&mu_);
    store_error_ = std::string(status.message());
  }
  if (!is_failing_.exchange(true, std::memory_order_relaxed)) {
    Log(LogLevel::kError, "store_failing", {{"reason", status.ToString()}});
  }
  for (Queued& queued : batch) {
    if (queued.task.finish) {
      queued.task.finish(absl::UnavailableError(absl::StrCat("the store does not take writes: ", status.message())), *fold_);
    }
  }
  batch.clear();
  {
    absl::MutexLock lock(&mu_);
    if (!is_stopping_) wake_.WaitWithTimeout(&mu_, kRetryWait);
  }
  (void)store_->Resume();  // whether it worked, the next write shows
}

void Writer::PublishState() {
  snapshot_->Publish(std::make_shared<State>(fold_->state()));
  const Counters& counters = fold_->state().counters;
  metrics_->Add(Counter::kDecisionsClosedEarly, static_cast<uint64_t>(counters.closed_early - reported_.closed_early));
  reported_ = counters;
}

}  // namespace offerd
