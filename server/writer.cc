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

TimeMicros KeptOpenFor(const Placement& placement) {
  return (placement.window_seconds + placement.max_lateness_seconds) * kMicrosPerSecond;
}

// Window and lateness of the placement, empty: the longest of all. Of one that was deleted nobody knows any more; they were
// shorter than the lifetime of event ids.
TimeMicros KeptOpenFor(const State& state, const std::string& name, int64_t event_id_lifetime_seconds) {
  if (!name.empty()) {
    const PlacementState* placement = state.FindPlacement(name);
    return placement != nullptr ? KeptOpenFor(placement->placement) : event_id_lifetime_seconds * kMicrosPerSecond;
  }
  TimeMicros longest = 0;
  state.placements.ForEach([&longest](absl::string_view, const std::shared_ptr<const PlacementState>& placement) {
    longest = std::max(longest, KeptOpenFor(placement->placement));
  });
  return longest;
}

}  // namespace

RecordPtr MakeRecordOnArena(size_t bytes) {
  google::protobuf::ArenaOptions options;
  options.start_block_size = bytes;
  auto arena = std::make_unique<google::protobuf::Arena>(options);
  auto* record = google::protobuf::Arena::CreateMessage<v1::stored::LogRecord>(arena.get());
  return RecordPtr(record, RecordDeleter{std::move(arena)});
}

TimeMicros Writer::Plan::log_now() const {
  return writer_.config_.clock == ServerConfig::Clock::kWall ? now_ : std::max<TimeMicros>(fold().state().now, 0);
}

absl::StatusOr<Sequence> Writer::Plan::Log(v1::stored::LogRecord record, TimeMicros time, bool sync) {
  return Log(RecordPtr(new v1::stored::LogRecord(std::move(record)), RecordDeleter{}), time, sync);
}

absl::StatusOr<Sequence> Writer::Plan::Log(RecordPtr record, TimeMicros time, bool sync) {
  const Sequence sequence = fold().state().sequence + 1;
  record->set_sequence(sequence);
  record->set_time_micros(time);
  ASSIGN_OR_RETURN(const LogEntry entry, FromProto(*record));
  const absl::Status applied = writer_.fold_->Apply(entry);
  CHECK(applied.ok());
  if (record->has_event()) seen_.insert(record->event().event().event_id());
  writer_.pending_.push_back(std::move(record));
  const v1::stored::LogRecord* logged = writer_.pending_.back().get();
  if (logged->has_decision()) writer_.pending_decisions_.emplace(logged->decision().decision_id(), logged);
  writer_.pending_sync_ |= sync;
  return sequence;
}

bool Writer::Plan::IsSeen(const std::string& event_id) const { return seen_.contains(event_id); }

absl::StatusOr<bool> Writer::Plan::KnowsDecision(const std::string& decision_id) const {
  if (writer_.pending_decisions_.contains(decision_id)) return true;  // logged, and not yet where the store would find it
  return writer_.store_->HasDecision(decision_id);
}

absl::StatusOr<std::optional<RewardSpec::LatePolicy>> Writer::Plan::LatePolicyIfOver(const std::string& decision_id, TimeMicros time) const {
  TimeMicros decided = 0;
  std::string placement;
  if (const auto pending = writer_.pending_decisions_.find(decision_id); pending != writer_.pending_decisions_.end()) {
    decided = pending->second->time_micros();
    placement = pending->second->decision().placement();
  } else {
    ASSIGN_OR_RETURN(const std::optional<int64_t> known, writer_.store_->DecisionTime(decision_id));
    if (!known.has_value()) return std::nullopt;
    decided = *known;
    // The record may be gone by retention, or damaged; its time is known all the same.
    const auto record = writer_.store_->ReadDecision(decision_id);
    if (record.ok() && record->has_value()) placement = (*record)->decision().placement();
  }
  const TimeMicros age = std::max(time, fold().state().now) - decided;
  if (age <= KeptOpenFor(fold().state(), placement, writer_.config_.event_id_lifetime_seconds)) return std::nullopt;
  const PlacementState* now = fold().state().FindPlacement(placement);
  return now == nullptr ? RewardSpec::LatePolicy::kUnspecified : now->placement.reward.late_policy;
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
  writer_.schedules_[policy].Wait(begin, std::max(interval, cost * kPublicationShare));
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
  if (is_bound && is_failing()) {
    return absl::UnavailableError(absl::StrCat("the store does not take writes: ", store_error()));
  }
  absl::MutexLock lock(&mu_);
  if (is_stopped_) return absl::UnavailableError("the server is stopping");
  if (is_bound && !HasRoom()) return absl::ResourceExhaustedError("the queue to the store is full: try again later");
  const int64_t bytes = task.bytes;
  queued_bytes_ += bytes;
  queue_.push_back({now_micros_(), 0, bytes, nullptr, std::move(task)});
  queued_records_ += queue_.back().records();
  wake_.Signal();
  return absl::OkStatus();
}

bool Writer::SubmitDecision(RecordPtr record, TimeMicros time) {
  if (!is_failing()) {
    const int64_t bytes = static_cast<int64_t>(record->ByteSizeLong());
    absl::MutexLock lock(&mu_);
    if (!is_stopped_ && HasRoom()) {
      queued_bytes_ += bytes;
      queue_.push_back({now_micros_(), time, bytes, std::move(record), {}});
      ++queued_records_;
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

int64_t Writer::queued_records() const {
  absl::MutexLock lock(&mu_);
  return queued_records_;
}

Writer::Lag Writer::lag() const {
  absl::MutexLock lock(&mu_);
  Lag lag = taken_;
  lag.records += queued_records_;
  if (lag.since == 0 && lag.records > 0 && !queue_.empty()) lag.since = queue_.front().submitted;
  return lag;
}

std::vector<Writer::Queued> Writer::Take() {
  std::vector<Queued> batch;
  absl::MutexLock lock(&mu_);
  if (queue_.empty() && !is_stopping_) wake_.WaitWithTimeout(&mu_, kIdleWait);
  while (!queue_.empty() && batch.size() < kMaxBatch) {
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
    queued_bytes_ -= batch.back().bytes;
    queued_records_ -= batch.back().records();
    if (batch.back().decision != nullptr) queued_decisions_.fetch_sub(1, std::memory_order_relaxed);
    taken_.records += batch.back().records();
    if (taken_.since == 0 && taken_.records > 0) taken_.since = batch.back().submitted;
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

absl::Status Writer::ReadIds(const std::vector<absl::string_view>& ids, Plan& plan) const {
  std::vector<bool> seen;
  RETURN_IF_ERROR(store_->HasEvents(ids, seen));
  for (size_t i = 0; i < ids.size(); ++i) {
    if (seen[i]) plan.seen_.emplace(ids[i]);
  }
  return absl::OkStatus();
}

// One read for the whole batch; where that fails, one a task, and where that fails, too, one an id.
void Writer::ReadSeen(std::vector<Queued>& batch, Plan& plan) {
  std::vector<absl::string_view> ids;
  for (const Queued& queued : batch) {
    for (const std::string& id : queued.task.event_ids) ids.push_back(id);
  }
  if (ids.empty()) return;
  const absl::Status status = ReadIds(ids, plan);
  if (status.ok()) return;
  offerd::Log(LogLevel::kError, "event_ids_unreadable", {{"reason", status.ToString()}});
  for (Queued& queued : batch) ReadSeenOf(queued, plan);
}

// Without an answer an event could count twice: what cannot be read is refused, and nothing else.
void Writer::ReadSeenOf(Queued& queued, Plan& plan) {
  const std::vector<absl::string_view> ids(queued.task.event_ids.begin(), queued.task.event_ids.end());
  if (ids.empty() || ReadIds(ids, plan).ok()) return;
  for (const absl::string_view id : ids) {
    const absl::Status status = ReadIds({id}, plan);
    if (status.ok()) continue;
    if (!absl::IsDataLoss(status)) {  // the store cannot be read now, and may be later
      queued.refusal = absl::UnavailableError(absl::StrCat("the store cannot be read: ", status.message()));
      return;
    }
    plan.unreadable_.emplace(id);
    metrics_->Add(Counter::kDamagedEntries);
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
  if (is_failing()) {  // what is pending is tried again, and nothing is added to it
    Refuse(batch, absl::UnavailableError(absl::StrCat("the store does not take writes: ", store_error())));
    WriteUntilDone(batch);
    return;
  }
  ReadSeen(batch, plan);
  for (Queued& queued : batch) {
    if (queued.decision != nullptr) {
      const auto logged = plan.Log(std::move(queued.decision), queued.decision_time,
                                   config_.durability == ServerConfig::Durability::kSynced);
      CHECK(logged.ok());
    }
    if (queued.task.plan && queued.refusal.ok()) queued.task.plan(plan);
  }
  PublishNews(plan);
  if (config_.durability == ServerConfig::Durability::kAsync) PublishState();
  WriteUntilDone(batch);
  snapshot_->Sweep();
}

void Writer::PublishNews(Plan& plan) {
  std::vector<std::string> due;
  for (const auto& [name, learning] : fold_->learning()) {
    if (!learning.has_news || !schedules_[name].Is(plan.wall_now())) continue;
    const PolicyState* policy = fold_->state().FindPolicy(name);
    if (policy != nullptr && !policy->is_pinned) due.push_back(name);
  }
  for (const std::string& name : due) {
    const auto published = plan.Publish(name, false);
    if (!published.ok()) {
      // The old model stays. Not before a second has passed again, whatever the interval.
      schedules_[name].Wait(plan.wall_now(), kMicrosPerSecond);
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
  pending_decisions_.clear();
  pending_.clear();
  pending_sync_ = false;
  return absl::OkStatus();
}

void Writer::WriteUntilDone(std::vector<Queued>& batch) {
  const bool had_records = !pending_.empty();
  const absl::Status status = Write();
  SetFailing(!status.ok(), status);
  if (status.ok()) {
    if (had_records) PublishState();
    Acknowledge(batch);
    return;
  }
  for (Queued& queued : batch) {
    if (queued.task.finish) {
      queued.task.finish(absl::UnavailableError(absl::StrCat("the store does not take writes: ", status.message())), *fold_);
    }
  }
  batch.clear();
  {
    absl::MutexLock lock(&mu_);
    taken_.records = static_cast<int64_t>(pending_.size());
    if (!is_stopping_) wake_.WaitWithTimeout(&mu_, kRetryWait);
  }
  (void)store_->Resume();  // whether it worked, the next write shows
}

void Writer::Acknowledge(std::vector<Queued>& batch) {
  {
    absl::MutexLock lock(&mu_);
    taken_ = Lag();
  }
  for (Queued& queued : batch) {
    if (queued.task.finish) queued.task.finish(queued.refusal, *fold_);
  }
}

void Writer::SetFailing(bool is_failing, const absl::Status& status) {
  {
    absl::MutexLock lock(&mu_);
    store_error_ = std::string(status.message());
  }
  if (is_failing_.exchange(is_failing, std::memory_order_relaxed) == is_failing) return;
  if (is_failing) {
    offerd::Log(LogLevel::kError, "store_failing", {{"reason", status.ToString()}});
  } else {
    offerd::Log(LogLevel::kInfo, "store_recovered");
  }
  if (on_failing_) on_failing_(is_failing);
}

void Writer::PublishState() {
  snapshot_->Publish(std::make_shared<State>(fold_->state()));
  const Counters& counters = fold_->state().counters;
  metrics_->Add(Counter::kDecisionsClosedEarly, static_cast<uint64_t>(counters.closed_early - reported_.closed_early));
  for (size_t i = 0; i < std::size(kRewardOutcomes); ++i) {
    const auto member = kRewardOutcomes[i].member;
    metrics_->RecordRewardOutcome(static_cast<int>(i), static_cast<uint64_t>(counters.*member - reported_.*member));
  }
  reported_ = counters;
}

}  // namespace offerd
