#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace offerd {

namespace metric {  // Names; docs/metrics.md explains each and a test holds it to that.
inline constexpr char kRequests[] = "offerd_requests_total";
inline constexpr char kRequestDuration[] = "offerd_request_duration_seconds";
inline constexpr char kShedRequests[] = "offerd_shed_requests_total";
inline constexpr char kRequestsInFlight[] = "offerd_requests_in_flight";
inline constexpr char kOpenStreams[] = "offerd_open_streams";
inline constexpr char kStreamBatchDuration[] = "offerd_stream_batch_duration_seconds";
inline constexpr char kDecisions[] = "offerd_decisions_total";
inline constexpr char kDecisionNotes[] = "offerd_decision_notes_total";
inline constexpr char kRewardOutcomes[] = "offerd_reward_outcomes_total";
inline constexpr char kListNotes[] = "offerd_list_notes_total";
inline constexpr char kDroppedDecisions[] = "offerd_dropped_decisions_total";
inline constexpr char kOpenDecisions[] = "offerd_open_decisions";
inline constexpr char kDecisionsClosedEarly[] = "offerd_decisions_closed_early_total";
inline constexpr char kEvictedReplies[] = "offerd_evicted_replies_total";
inline constexpr char kGateLeaks[] = "offerd_gate_leaks_total";
inline constexpr char kEvents[] = "offerd_events_total";
inline constexpr char kDecisionQueue[] = "offerd_decision_queue_records";
inline constexpr char kFeedbackQueue[] = "offerd_feedback_queue_records";
inline constexpr char kLearnerLagSeconds[] = "offerd_learner_lag_seconds";
inline constexpr char kLearnerLagRecords[] = "offerd_learner_lag_records";
inline constexpr char kPublications[] = "offerd_publications_total";
inline constexpr char kPublicationDuration[] = "offerd_publication_duration_seconds";
inline constexpr char kStoreWriteDuration[] = "offerd_store_write_duration_seconds";
inline constexpr char kStoreSyncDuration[] = "offerd_store_sync_duration_seconds";
inline constexpr char kStoreError[] = "offerd_store_error";
inline constexpr char kDamagedEntries[] = "offerd_damaged_entries_total";
inline constexpr char kLastSequence[] = "offerd_last_sequence";
inline constexpr char kSnapshotAge[] = "offerd_snapshot_age_seconds";
inline constexpr char kSnapshotDuration[] = "offerd_snapshot_duration_seconds";
inline constexpr char kCustomers[] = "offerd_customers";
inline constexpr char kItems[] = "offerd_items";
inline constexpr char kOffers[] = "offerd_offers";
inline constexpr char kErasuresPending[] = "offerd_erasures_pending";
inline constexpr char kGuardGain[] = "offerd_guard_gain";
inline constexpr char kGuardLowerBound[] = "offerd_guard_gain_lower_bound";
inline constexpr char kGuardUpperBound[] = "offerd_guard_gain_upper_bound";
inline constexpr char kGuardBelow[] = "offerd_guard_below_floor";
inline constexpr char kAutomaticReturns[] = "offerd_automatic_returns_total";
inline constexpr char kBuildInfo[] = "offerd_build_info";
inline constexpr char kProcessCpu[] = "process_cpu_seconds_total";
inline constexpr char kProcessMemory[] = "process_resident_memory_bytes";
inline constexpr char kProcessStart[] = "process_start_time_seconds";
inline constexpr const char* kAll[] = {
    kRequests, kRequestDuration, kShedRequests, kRequestsInFlight, kOpenStreams, kStreamBatchDuration, kDecisions,
    kDecisionNotes, kRewardOutcomes, kListNotes, kDroppedDecisions, kOpenDecisions, kDecisionsClosedEarly, kEvictedReplies, kGateLeaks, kEvents, kDecisionQueue,
    kFeedbackQueue, kLearnerLagSeconds, kLearnerLagRecords, kPublications, kPublicationDuration, kStoreWriteDuration,
    kStoreSyncDuration, kStoreError, kDamagedEntries, kLastSequence, kSnapshotAge, kSnapshotDuration, kCustomers, kItems, kOffers,
    kErasuresPending, kGuardGain, kGuardLowerBound, kGuardUpperBound, kGuardBelow, kAutomaticReturns, kBuildInfo, kProcessCpu, kProcessMemory, kProcessStart};
}  // namespace metric

// Every method of offerd.v1, in the order of MethodText.
enum class Method : uint8_t {
  kRankOffers, kActivate, kCrossSell, kSimilarItems, kRecommendItems, kRecommendNext, kSendFeedback, kStreamFeedback, kUpsertItems, kUpsertOffers, kGetItem, kGetOffer, kListItems,
  kListOffers, kDeleteItem, kDeleteOffer, kUpsertCustomers, kGetCustomer, kMerge, kEraseCustomer, kSetPlacement, kListPlacements,
  kDeletePlacement, kEvaluatePolicy, kPromotePolicy, kListReleases, kRollBackPlacement, kSetPolicy, kListPolicies, kPublishPolicy, kRollBackPolicy, kPublishTable, kRollBackTable, kListTables, kCreateSnapshot, kListSnapshots,
  kVerifySnapshot, kGetStatus, kGetLimits
};
inline constexpr int kNumMethods = 39;
absl::string_view MethodText(Method method);  // "RankOffers"

// Counters without labels, counts in the order of their names above.
enum class Counter : uint8_t { kDroppedDecisions, kDecisionsClosedEarly, kEvictedReplies, kDamagedEntries, kGateLeaks, kAutomaticReturns };
inline constexpr int kNumCounters = 6;

enum class ShedReason : uint8_t { kInFlight, kRateLimit, kUnauthenticated, kPermission, kTurnWait };
inline constexpr int kNumShedReasons = 5;

enum class Gauge : uint8_t {
  kRequestsInFlight, kOpenStreams, kOpenDecisions, kDecisionQueue, kFeedbackQueue, kLearnerLagSeconds, kLearnerLagRecords,
  kStoreError,  // 1 = failing
  kLastSequence, kCustomers, kItems, kOffers, kErasuresPending
};
inline constexpr int kNumGauges = 13;

// Durations without labels.
enum class Timer : uint8_t { kStreamBatch, kPublication, kStoreWrite, kStoreSync, kSnapshot };
inline constexpr int kNumTimers = 5;

inline constexpr int kMaxDecisionLabels = 1000;  // pairs of placement and policy; the rest count as "other"
inline constexpr int kNumRpcCodes = 17;
inline constexpr int kNumNotes = 16;
inline constexpr int kNumMetricEventKinds = 10;
inline constexpr int kNumMetricFates = 6;

// Upper bounds of the exported buckets in microseconds: log-linear, 50 us to 10 s.
inline constexpr std::array<int64_t, 22> kBucketMicros = {
    50,     100,    150,    200,     300,     500,     750,       1'000,     1'500,     2'000,     3'000,
    5'000,  10'000, 20'000, 50'000, 100'000, 200'000, 500'000, 1'000'000, 2'000'000, 5'000'000, 10'000'000};
inline constexpr int kNumBuckets = static_cast<int>(kBucketMicros.size()) + 1;  // and the one above all

// A pair of placement and policy, resolved once when a placement is set.
enum class DecisionLabel : int {};

// All that offerd counts.
//
// Threads  Any. Add, Record* and Set touch no shared cache line but the gauge's own: counts are kept per thread and summed
//          at a scrape. A thread's counts stay when it ends.
// Units    Durations in microseconds here, in seconds when exported.
// Cost     Under 3 ns for a Record*, about 25 kB for each thread that records.
class Metrics {
 public:
  explicit Metrics(std::string version, std::function<int64_t()> now_micros);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void Add(Counter counter, uint64_t n = 1);
  void Set(Gauge gauge, double value);
  void Adjust(Gauge gauge, double difference);  // for what goes up and down from several threads; not for the hot path
  void Record(Timer timer, int64_t micros);

  // A call has been answered with this code of gRPC (RpcCode); a code that is none counts as UNKNOWN.
  void RecordRequest(Method method, int rpc_code, int64_t micros);
  void RecordShed(ShedReason reason);

  // Takes a lock: call when a placement is set, keep the label. The same pair gets the same label.
  DecisionLabel LabelOf(absl::string_view placement, absl::string_view policy);
  void RecordDecision(DecisionLabel label);
  void RecordNote(int note);              // number of offerd.v1.RankOffersResponse.Note
  void RecordRewardOutcome(int outcome, uint64_t count);  // number in kRewardOutcomes
  void RecordListNote(int note);          // number of offerd.v1.ItemList.Note
  void RecordEvent(int kind, int fate);   // numbers of offerd.v1.EventKind and Fate
  // Of placements whose guard knows something; replaces all of before.
  struct Guard {
    std::string placement;
    double gain = 0, lower_bound = 0, upper_bound = 0;  // NaN = not known
    double is_below = 0;                                // 1 or 0
  };
  void SetGuards(std::vector<Guard> guards);
  void RecordPublication(absl::string_view policy, int64_t micros);  // takes a lock; also Timer::kPublication
  void SetSnapshotTime(int64_t micros);   // of the newest sound snapshot; its age is exported

  // Runs at the start of each scrape, on the scraping thread: the place to Set what is cheaper to ask than to keep. Set it
  // before the exporter starts; `collect` must outlive that.
  void OnScrape(std::function<void()> collect);

  // Sums over all threads, for tests and GetStatus.
  uint64_t requests(Method method, int rpc_code) const;
  uint64_t shed(ShedReason reason) const;
  uint64_t counter(Counter counter) const;
  uint64_t events(int kind, int fate) const;
  uint64_t decisions(DecisionLabel label) const;
  double gauge(Gauge gauge) const;

  std::string ToText() const;  // the Prometheus text format

 private:
  friend class MetricsExporter;
  struct Shard;
  struct Collector;
  using Cell = std::atomic<uint64_t>;

  Shard& LocalShard() const;
  uint64_t Sum(int cell) const;

  // Fixed after construction.
  const uint64_t id_;
  const std::string version_;
  const std::function<int64_t()> now_micros_;
  const int64_t start_micros_;
  std::function<void()> on_scrape_;  // set before the first scrape
  // Guarded.
  mutable absl::Mutex mu_;
  mutable std::vector<std::shared_ptr<Shard>> shards_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, int> label_index_ ABSL_GUARDED_BY(mu_);
  std::vector<std::pair<std::string, std::string>> labels_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, uint64_t> publications_ ABSL_GUARDED_BY(mu_);
  std::vector<Guard> guards_ ABSL_GUARDED_BY(mu_);
  // Atomic, relaxed: each stands alone.
  std::array<std::atomic<double>, kNumGauges> gauges_{};
  std::atomic<int64_t> snapshot_micros_{0};
};

// Serves Metrics over HTTP at /metrics.
//
// Cost  Its destructor takes up to two seconds once somebody has asked: the library's listener looks up that often.
class MetricsExporter {
 public:
  // `listen` is host:port; port 0 picks a free one. `metrics` outlives the exporter. Unavailable when the address is taken.
  static absl::StatusOr<std::unique_ptr<MetricsExporter>> Start(const std::string& listen, const Metrics* metrics);
  ~MetricsExporter();
  int port() const { return port_; }

 private:
  struct Impl;
  MetricsExporter(std::unique_ptr<Impl> impl, int port);
  const std::unique_ptr<Impl> impl_;
  const int port_;
};

}  // namespace offerd
