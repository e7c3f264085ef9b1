#pragma once
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "offerd/v1/admin_service.pb.h"
#include "server/config.h"
#include "server/due.h"
#include "server/metrics.h"
#include "server/writer.h"
#include "store/store.h"

namespace offerd {

// What the store needs besides writing: bases at intervals and on request, their verification, retention of the log, expiry
// of old ids, erasures, backups. One thread beside the writer.
//
// Threads  Everything public from any thread; callbacks run on the maintenance thread.
class Maintenance {
 public:
  Maintenance(const ServerConfig& config, Store* store, Writer* writer, Metrics* metrics, Snapshot<State>* snapshot,
              std::function<TimeMicros()> now_micros);
  ~Maintenance();
  // Called about once a second on the maintenance thread. Before Start.
  void OnTick(std::function<void()> on_tick) { on_tick_ = std::move(on_tick); }
  void Start();
  void Stop();  // finishes what runs, answers what waits with Unavailable

  using SnapshotDone = std::function<void(absl::StatusOr<v1::Snapshot>)>;
  void CreateSnapshot(SnapshotDone done);                     // and a backup where one is configured
  void VerifySnapshot(Sequence sequence, SnapshotDone done);  // 0 = the newest
  // Something slow that answers by itself; `refuse` is called instead when the server stops.
  void Enqueue(std::function<void()> job, std::function<void()> refuse);
  void Erase(std::string customer_id, Sequence sequence);     // strip what the erasing record asks for
  absl::Status CreateLastSnapshot();  // at shutdown, after Stop and before the writer stops

  int64_t erasures_pending() const { return erasures_pending_.load(std::memory_order_relaxed); }

 private:
  void Run();
  absl::StatusOr<v1::Snapshot> MakeBase();
  absl::StatusOr<v1::Snapshot> WriteBase(const FoldImage& image);
  absl::StatusOr<std::shared_ptr<FoldImage>> AskForImage();
  absl::StatusOr<v1::Snapshot> Describe(Sequence sequence) const;
  void FinishErasures();
  Sequence KeepLogFrom() const;  // for evidence
  bool Purge();  // one step; false: nothing is left to do for now

  const ServerConfig& config_;
  Store* const store_;
  Writer* const writer_;
  Metrics* const metrics_;
  Snapshot<State>* const snapshot_;
  const std::function<TimeMicros()> now_micros_;
  std::function<void()> on_tick_;  // may be null

  struct Job {
    std::function<void()> run;
    std::function<void()> refuse;
  };
  absl::Mutex mu_;
  absl::CondVar wake_;
  std::deque<Job> jobs_ ABSL_GUARDED_BY(mu_);
  bool is_stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::atomic<int64_t> erasures_pending_{0};
  // Maintenance thread only.
  bool is_seen_purged_ = false;  // in this pass
  bool are_decisions_purged_ = false;
  Due purge_;  // the next pass
  int64_t damaged_entries_ = 0;  // as last told to metrics
  std::thread thread_;
};

// How a base is shown to callers.
v1::Snapshot ToProto(const BaseInfo& base);

}  // namespace offerd
