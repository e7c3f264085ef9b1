#pragma once
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <google/protobuf/arena.h>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "core/learn/fold.h"
#include "core/snapshot.h"
#include "offerd/v1/stored.pb.h"
#include "server/config.h"
#include "server/due.h"
#include "server/metrics.h"
#include "store/store.h"

namespace offerd {

// A log record, on an arena of its own where it has many parts: then one allocation makes it and one frees it.
struct RecordDeleter {
  std::unique_ptr<google::protobuf::Arena> arena;  // null: the record is on the heap
  void operator()(v1::stored::LogRecord* record) const {
    if (arena == nullptr) delete record;
  }
};
using RecordPtr = std::unique_ptr<v1::stored::LogRecord, RecordDeleter>;
RecordPtr MakeRecordOnArena(size_t bytes);  // bytes: about what it will take

// The one writer: takes tasks in order, turns them into log records, folds them in, writes them with one group commit,
// publishes the new state, and only then answers. So an answer means durable and in force, and log order is fold order.
//
// It is also the learner: policies with news are published here, at most as often as they say and for at most 5 % of a core.
//
// Threads  Submit and SubmitDecision from any thread; task functions run on the writer's own thread. Start and Stop once.
// Errors   When the store fails, tasks are answered Unavailable and the records stay in memory until they can be written:
//          nobody was told that they are safe, but nothing is lost either while the process lives. Reads go on meanwhile.
//          An event id whose entry cannot be read concerns its own event only; see Plan::IsUnreadable.
class Writer {
 public:
  // What a task may do on the writer's thread before the batch is written.
  class Plan {
   public:
    const Fold& fold() const { return *writer_.fold_; }
    TimeMicros wall_now() const { return now_; }
    // The log's time for what carries no time of its own.
    TimeMicros log_now() const;
    // Appends the record at the next log position and folds it in. An error means that nothing was logged.
    absl::StatusOr<Sequence> Log(v1::stored::LogRecord record, TimeMicros time, bool sync);
    absl::StatusOr<Sequence> Log(RecordPtr record, TimeMicros time, bool sync);
    bool IsSeen(const std::string& event_id) const;  // in the store or earlier in this batch
    // Its entry in the store is damaged, so nobody knows whether it was seen: the event must not count.
    bool IsUnreadable(const std::string& event_id) const { return unreadable_.contains(event_id); }
    // Is the decision in the log, open or not?
    absl::StatusOr<bool> KnowsDecision(const std::string& decision_id) const;
    // A decision that is not open: are window and lateness of its placement over at `time`? It may have been closed early for
    // lack of room, or its placement may be gone. Where the decision's record is no longer kept, the longest window and lateness
    // of any placement count. If they are: what its placement wants of a late event. Nothing for a decision nobody knows.
    absl::StatusOr<std::optional<RewardSpec::LatePolicy>> LatePolicyIfOver(const std::string& decision_id, TimeMicros time) const;
    absl::StatusOr<Sequence> Publish(const std::string& policy, bool kept);

   private:
    friend class Writer;
    Plan(Writer& writer, TimeMicros now) : writer_(writer), now_(now) {}
    Writer& writer_;
    const TimeMicros now_;
    absl::flat_hash_set<std::string> seen_;
    absl::flat_hash_set<std::string> unreadable_;
  };

  struct Task {
    std::function<void(Plan&)> plan;                                  // may be null
    std::function<void(const absl::Status&, const Fold&)> finish;     // may be null; once, after the write or its failure
    std::vector<std::string> event_ids;                               // that plan asks IsSeen for
    int64_t bytes = 0;                                                // of what it holds, roughly: counts against the queue's limit
    int64_t records = 1;                                              // that plan may log, roughly: for the metrics
  };

  Writer(const ServerConfig& config, Store* store, std::unique_ptr<Fold> fold, Metrics* metrics, Snapshot<State>* snapshot,
         std::function<TimeMicros()> now_micros);
  ~Writer();
  // Hears, on the writer's thread, when the store begins to fail (true) and when it takes writes again. Before Start.
  void OnFailing(std::function<void(bool)> on_failing) { on_failing_ = std::move(on_failing); }
  void Start();
  void Stop();  // writes what is queued, then ends

  // ResourceExhausted when the queue is full, Unavailable when the store fails or the writer has stopped.
  absl::Status Submit(Task task);
  // For snapshots and settings of the server itself: not bound by the queue's limits, which a server that stops under load has
  // reached, nor refused while the store fails: `finish` always runs on the writer's thread. Unavailable once it has stopped.
  absl::Status SubmitUpkeep(Task task);
  // Without an answer: false, and counted, when there is no room.
  bool SubmitDecision(RecordPtr record, TimeMicros time);

  bool is_failing() const { return is_failing_.load(std::memory_order_relaxed); }
  std::string store_error() const;
  int64_t queued_records() const;  // of feedback, settings and decisions
  int64_t queued_decisions() const { return queued_decisions_.load(std::memory_order_relaxed); }
  int64_t dropped_decisions() const { return dropped_.load(std::memory_order_relaxed); }
  // What is queued or in the writer's hands: not in the published state yet.
  struct Lag {
    int64_t records = 0;
    TimeMicros since = 0;  // when the oldest of it came; 0 = there is none
  };
  Lag lag() const;

 private:
  struct Queued {
    TimeMicros submitted = 0;
    TimeMicros decision_time = 0;
    int64_t bytes = 0;
    RecordPtr decision;  // or:
    Task task;
    absl::Status refusal = absl::OkStatus();  // the task is not planned, and told why

    int64_t records() const { return decision != nullptr ? 1 : task.plan ? task.records : 0; }
  };

  absl::Status Enqueue(Task task, bool is_bound);
  bool HasRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Run();
  std::vector<Queued> Take();
  void Process(std::vector<Queued>& batch);
  void ReadSeen(std::vector<Queued>& batch, Plan& plan);
  void ReadSeenOf(Queued& queued, Plan& plan);
  absl::Status ReadIds(const std::vector<absl::string_view>& ids, Plan& plan) const;
  void PublishNews(Plan& plan);
  absl::Status Write();
  void WriteUntilDone(std::vector<Queued>& batch);
  void Acknowledge(std::vector<Queued>& batch);
  void SetFailing(bool is_failing, const absl::Status& status);
  void PublishState();
  void Refuse(std::vector<Queued>& batch, const absl::Status& status);

  // Fixed after construction.
  const ServerConfig& config_;
  Store* const store_;
  Metrics* const metrics_;
  Snapshot<State>* const snapshot_;
  const std::function<TimeMicros()> now_micros_;
  std::function<void(bool)> on_failing_;  // may be null

  // Writer thread only (Start hands over).
  std::unique_ptr<Fold> fold_;
  std::vector<RecordPtr> pending_;  // folded, not yet written
  absl::flat_hash_map<absl::string_view, const v1::stored::LogRecord*> pending_decisions_;  // of pending_, by id
  bool pending_sync_ = false;
  std::map<std::string, Due> schedules_;  // by policy: when it may be published again
  Counters reported_;  // as last told to metrics

  // Guarded.
  mutable absl::Mutex mu_;
  absl::CondVar wake_;
  std::deque<Queued> queue_ ABSL_GUARDED_BY(mu_);
  int64_t queued_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t queued_records_ ABSL_GUARDED_BY(mu_) = 0;
  Lag taken_ ABSL_GUARDED_BY(mu_);  // in the writer's hands
  bool is_stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool is_stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::string store_error_ ABSL_GUARDED_BY(mu_);

  // Atomic, relaxed: each stands alone.
  std::atomic<bool> is_failing_{false};
  std::atomic<int64_t> dropped_{0};
  std::atomic<int64_t> queued_decisions_{0};

  std::thread thread_;
};

}  // namespace offerd
