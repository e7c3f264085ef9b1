#include "server/metrics.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <ctime>
#include <exception>
#include <fstream>
#include <utility>

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "absl/strings/str_cat.h"
#include "core/learn/counters.h"
#include "offerd/v1/feedback_service.pb.h"
#include "offerd/v1/offer_service.pb.h"
#include "server/metric_texts.h"
#include "server/utf8.h"

namespace offerd {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr int kHistogramCells = kNumBuckets + 1;  // and the sum
constexpr int kNumOutcomes = 2;                   // ok, error

// Where each count stands in a shard.
constexpr int kRequestCells = 0;
constexpr int kDurationCells = kRequestCells + kNumMethods * kNumRpcCodes;
constexpr int kTimerCells = kDurationCells + kNumMethods * kNumOutcomes * kHistogramCells;
constexpr int kShedCells = kTimerCells + kNumTimers * kHistogramCells;
constexpr int kCounterCells = kShedCells + kNumShedReasons;
constexpr int kDecisionCells = kCounterCells + kNumCounters;
constexpr int kNoteCells = kDecisionCells + kMaxDecisionLabels + 1;
constexpr int kListNoteCells = kNoteCells + kNumNotes;
constexpr int kOutcomeCells = kListNoteCells + kNumNotes;
constexpr int kEventCells = kOutcomeCells + static_cast<int>(std::size(kRewardOutcomes));
constexpr int kNumCells = kEventCells + kNumMetricEventKinds * kNumMetricFates;

static_assert(v1::EventKind_ARRAYSIZE == kNumMetricEventKinds);
static_assert(v1::Fate_ARRAYSIZE == kNumMetricFates);
static_assert(v1::RankOffersResponse::Note_ARRAYSIZE <= kNumNotes && v1::ItemList::Note_ARRAYSIZE <= kNumNotes);

// First bucket to look at for a number of this many bits.
constexpr std::array<uint8_t, 65> MakeStarts() {
  std::array<uint8_t, 65> starts{};
  for (int bits = 1; bits <= 64; ++bits) {
    uint8_t bucket = 0;
    while (bucket < kBucketMicros.size() && static_cast<uint64_t>(kBucketMicros[bucket]) < (uint64_t{1} << (bits - 1))) ++bucket;
    starts[static_cast<size_t>(bits)] = bucket;
  }
  return starts;
}
constexpr std::array<uint8_t, 65> kStarts = MakeStarts();

int BucketOf(int64_t micros) {
  size_t bucket = kStarts[static_cast<size_t>(std::bit_width(static_cast<uint64_t>(micros)))];
  while (bucket < kBucketMicros.size() && micros > kBucketMicros[bucket]) ++bucket;
  return static_cast<int>(bucket);
}

uint64_t NextId() {
  static std::atomic<uint64_t> next{0};
  return next.fetch_add(1, std::memory_order_relaxed) + 1;
}

bool Inside(int value, int size) { return value >= 0 && value < size; }

MetricFamily Family(const char* name, const char* help, MetricType type) { return {name, help, type, {}}; }

ClientMetric Labelled(std::vector<std::pair<std::string, std::string>> labels) {
  ClientMetric out;
  for (auto& [name, value] : labels) out.label.push_back({std::move(name), std::move(value)});
  return out;
}

void FillHistogram(const uint64_t* cells, ClientMetric* out) {
  uint64_t total = 0;
  out->histogram.bucket.reserve(kNumBuckets);
  for (int i = 0; i < kNumBuckets; ++i) {
    total += cells[i];
    const double bound = i + 1 == kNumBuckets ? std::numeric_limits<double>::infinity()
                                              : static_cast<double>(kBucketMicros[static_cast<size_t>(i)]) / 1e6;
    out->histogram.bucket.push_back({total, bound});
  }
  out->histogram.sample_count = total;
  out->histogram.sample_sum = static_cast<double>(cells[kNumBuckets]) / 1e6;
}

double ProcessCpuSeconds() {
  std::timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double ResidentBytes() {
  std::ifstream in("/proc/self/statm");
  double all = 0, resident = 0;
  in >> all >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

}  // namespace

// The counts of one thread. Only that thread writes, so a load and a store are enough; relaxed, since each stands alone.
struct Metrics::Shard {
  std::array<Cell, kNumCells> cells{};
  void Add(int cell, uint64_t n) {
    Cell& c = cells[static_cast<size_t>(cell)];
    c.store(c.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void AddDuration(int first_cell, int64_t micros) {
    micros = std::max<int64_t>(micros, 0);  // the clock may have been set back
    Add(first_cell + BucketOf(micros), 1);
    Add(first_cell + kNumBuckets, static_cast<uint64_t>(micros));
  }
};

struct Metrics::Collector {
  static std::vector<MetricFamily> Collect(const Metrics& m);
};

namespace {

// What this thread records into: of the Metrics it used last. Plain values, so that the fast path has no initialisation check.
thread_local uint64_t local_owner = 0;
thread_local void* local_shard = nullptr;

struct LocalHolder {
  std::shared_ptr<void> shard;
  ~LocalHolder() { local_owner = 0; }
};

}  // namespace

Metrics::Metrics(std::string version, std::function<int64_t()> now_micros)
    : id_(NextId()), version_(std::move(version)), now_micros_(std::move(now_micros)), start_micros_(now_micros_()) {}

Metrics::~Metrics() = default;

Metrics::Shard& Metrics::LocalShard() const {
  if (local_owner == id_) return *static_cast<Shard*>(local_shard);
  thread_local LocalHolder holder;
  holder.shard.reset();
  std::shared_ptr<Shard> shard;
  {
    absl::MutexLock lock(&mu_);
    for (const std::shared_ptr<Shard>& candidate : shards_) {
      if (candidate.use_count() > 1) continue;  // its thread lives
      std::atomic_thread_fence(std::memory_order_acquire);  // pairs with the release of the count by the thread that ended
      shard = candidate;
      break;
    }
    if (shard == nullptr) {
      shard = std::make_shared<Shard>();
      shards_.push_back(shard);
    }
  }
  local_shard = shard.get();
  local_owner = id_;
  holder.shard = std::move(shard);
  return *static_cast<Shard*>(local_shard);
}

uint64_t Metrics::Sum(int cell) const {
  absl::MutexLock lock(&mu_);
  uint64_t sum = 0;
  for (const auto& shard : shards_) sum += shard->cells[static_cast<size_t>(cell)].load(std::memory_order_relaxed);
  return sum;
}

void Metrics::Add(Counter counter, uint64_t n) { LocalShard().Add(kCounterCells + static_cast<int>(counter), n); }

void Metrics::Set(Gauge gauge, double value) {
  gauges_[static_cast<size_t>(gauge)].store(value, std::memory_order_relaxed);
}

void Metrics::Adjust(Gauge gauge, double difference) {
  gauges_[static_cast<size_t>(gauge)].fetch_add(difference, std::memory_order_relaxed);
}

void Metrics::Record(Timer timer, int64_t micros) {
  LocalShard().AddDuration(kTimerCells + static_cast<int>(timer) * kHistogramCells, micros);
}

void Metrics::RecordRequest(Method method, int rpc_code, int64_t micros) {
  const int code = Inside(rpc_code, kNumRpcCodes) ? rpc_code : 2;
  const int outcome = code == 0 ? 0 : 1;
  Shard& shard = LocalShard();
  shard.Add(kRequestCells + static_cast<int>(method) * kNumRpcCodes + code, 1);
  shard.AddDuration(kDurationCells + (static_cast<int>(method) * kNumOutcomes + outcome) * kHistogramCells, micros);
}

void Metrics::RecordShed(ShedReason reason) { LocalShard().Add(kShedCells + static_cast<int>(reason), 1); }

DecisionLabel Metrics::LabelOf(absl::string_view placement, absl::string_view policy) {
  const std::string key = absl::StrCat(placement.size(), ":", placement, policy);
  absl::MutexLock lock(&mu_);
  const auto found = label_index_.find(key);
  if (found != label_index_.end()) return DecisionLabel{found->second};
  if (labels_.size() >= kMaxDecisionLabels) return DecisionLabel{kMaxDecisionLabels};
  const int index = static_cast<int>(labels_.size());
  labels_.emplace_back(CutUtf8(placement, 256), CutUtf8(policy, 256));
  label_index_.emplace(key, index);
  return DecisionLabel{index};
}

void Metrics::RecordDecision(DecisionLabel label) { LocalShard().Add(kDecisionCells + static_cast<int>(label), 1); }

void Metrics::RecordNote(int note) {
  if (Inside(note, kNumNotes)) LocalShard().Add(kNoteCells + note, 1);
}

void Metrics::RecordRewardOutcome(int outcome, uint64_t count) {
  if (count > 0 && Inside(outcome, static_cast<int>(std::size(kRewardOutcomes)))) LocalShard().Add(kOutcomeCells + outcome, count);
}

void Metrics::RecordListNote(int note) {
  if (Inside(note, kNumNotes)) LocalShard().Add(kListNoteCells + note, 1);
}

void Metrics::RecordEvent(int kind, int fate) {
  if (!Inside(kind, kNumMetricEventKinds)) kind = 0;
  if (!Inside(fate, kNumMetricFates)) fate = 0;
  LocalShard().Add(kEventCells + kind * kNumMetricFates + fate, 1);
}

void Metrics::SetGuards(std::vector<Guard> guards) {
  for (Guard& guard : guards) guard.placement = CutUtf8(guard.placement, 256);
  absl::MutexLock lock(&mu_);
  guards_ = std::move(guards);
}

void Metrics::RecordPublication(absl::string_view policy, int64_t micros) {
  Record(Timer::kPublication, micros);
  std::string key = CutUtf8(policy, 256);
  absl::MutexLock lock(&mu_);
  if (publications_.size() >= kMaxDecisionLabels && !publications_.contains(key)) key = "other";
  ++publications_[key];
}

void Metrics::SetSnapshotTime(int64_t micros) { snapshot_micros_.store(micros, std::memory_order_relaxed); }

void Metrics::OnScrape(std::function<void()> collect) { on_scrape_ = std::move(collect); }

uint64_t Metrics::requests(Method method, int rpc_code) const {
  return Inside(rpc_code, kNumRpcCodes) ? Sum(kRequestCells + static_cast<int>(method) * kNumRpcCodes + rpc_code) : 0;
}
uint64_t Metrics::shed(ShedReason reason) const { return Sum(kShedCells + static_cast<int>(reason)); }
uint64_t Metrics::counter(Counter counter) const { return Sum(kCounterCells + static_cast<int>(counter)); }
uint64_t Metrics::events(int kind, int fate) const {
  return Inside(kind, kNumMetricEventKinds) && Inside(fate, kNumMetricFates) ? Sum(kEventCells + kind * kNumMetricFates + fate) : 0;
}
uint64_t Metrics::decisions(DecisionLabel label) const { return Sum(kDecisionCells + static_cast<int>(label)); }
double Metrics::gauge(Gauge gauge) const { return gauges_[static_cast<size_t>(gauge)].load(std::memory_order_relaxed); }

std::string Metrics::ToText() const { return prometheus::TextSerializer().Serialize(Collector::Collect(*this)); }

std::vector<MetricFamily> Metrics::Collector::Collect(const Metrics& m) {
  if (m.on_scrape_) m.on_scrape_();
  std::vector<uint64_t> cells(kNumCells, 0);
  std::vector<std::pair<std::string, std::string>> labels;
  std::vector<std::pair<std::string, uint64_t>> publications;
  std::vector<Metrics::Guard> guards;
  {
    absl::MutexLock lock(&m.mu_);
    for (const auto& shard : m.shards_) {
      for (size_t i = 0; i < cells.size(); ++i) cells[i] += shard->cells[i].load(std::memory_order_relaxed);
    }
    labels = m.labels_;
    publications.assign(m.publications_.begin(), m.publications_.end());
    guards = m.guards_;
  }
  std::sort(publications.begin(), publications.end());

  std::vector<MetricFamily> families;
  const auto counted = [&cells](int cell, std::vector<std::pair<std::string, std::string>> with) {
    ClientMetric metric = Labelled(std::move(with));
    metric.counter.value = static_cast<double>(cells[static_cast<size_t>(cell)]);
    return metric;
  };

  MetricFamily requests = Family(metric::kRequests, "Calls answered, by method and code.", MetricType::Counter);
  MetricFamily durations = Family(metric::kRequestDuration, "Time from the arrival of a call to its answer, by method and outcome.",
                                  MetricType::Histogram);
  for (int method = 0; method < kNumMethods; ++method) {
    const std::string name = kMethodTexts[method];
    for (int code = 0; code < kNumRpcCodes; ++code) {
      const int cell = kRequestCells + method * kNumRpcCodes + code;
      if (code != 0 && cells[static_cast<size_t>(cell)] == 0) continue;  // 0 calls that failed in 16 ways say little
      requests.metric.push_back(counted(cell, {{"method", name}, {"code", kCodeTexts[code]}}));
    }
    for (int outcome = 0; outcome < kNumOutcomes; ++outcome) {
      ClientMetric metric = Labelled({{"method", name}, {"outcome", outcome == 0 ? "ok" : "error"}});
      FillHistogram(&cells[static_cast<size_t>(kDurationCells + (method * kNumOutcomes + outcome) * kHistogramCells)], &metric);
      if (metric.histogram.sample_count == 0) continue;
      durations.metric.push_back(std::move(metric));
    }
  }
  families.push_back(std::move(requests));
  families.push_back(std::move(durations));

  MetricFamily shed = Family(metric::kShedRequests, "Calls refused before any work was done, by reason.", MetricType::Counter);
  for (int i = 0; i < kNumShedReasons; ++i) shed.metric.push_back(counted(kShedCells + i, {{"reason", kShedTexts[i]}}));
  families.push_back(std::move(shed));

  MetricFamily decisions = Family(metric::kDecisions, "Decisions made, by placement and the policy that answered.", MetricType::Counter);
  for (size_t i = 0; i < labels.size(); ++i) {
    decisions.metric.push_back(
        counted(kDecisionCells + static_cast<int>(i), {{"placement", labels[i].first}, {"policy", labels[i].second}}));
  }
  if (cells[kDecisionCells + kMaxDecisionLabels] > 0) {
    decisions.metric.push_back(counted(kDecisionCells + kMaxDecisionLabels, {{"placement", "other"}, {"policy", "other"}}));
  }
  families.push_back(std::move(decisions));

  MetricFamily notes = Family(metric::kDecisionNotes, "Answers that were shorter or poorer than asked, by the note that says why.",
                              MetricType::Counter);
  for (int i = 1; i < v1::RankOffersResponse::Note_ARRAYSIZE; ++i) {
    if (!v1::RankOffersResponse::Note_IsValid(i)) continue;
    notes.metric.push_back(counted(kNoteCells + i, {{"note", v1::RankOffersResponse::Note_Name(i)}}));
  }
  families.push_back(std::move(notes));

  MetricFamily outcomes = Family(metric::kRewardOutcomes, "What became of rewards beside plain earning, by outcome: docs/metrics.md.",
                                 MetricType::Counter);
  for (size_t i = 0; i < std::size(kRewardOutcomes); ++i) {
    outcomes.metric.push_back(counted(kOutcomeCells + static_cast<int>(i), {{"outcome", kRewardOutcomes[i].name}}));
  }
  families.push_back(std::move(outcomes));

  MetricFamily list_notes = Family(metric::kListNotes, "Item lists that were shorter or poorer than asked, by the note that says why.",
                                   MetricType::Counter);
  for (int i = 1; i < v1::ItemList::Note_ARRAYSIZE; ++i) {
    if (!v1::ItemList::Note_IsValid(i)) continue;
    list_notes.metric.push_back(counted(kListNoteCells + i, {{"note", v1::ItemList::Note_Name(i)}}));
  }
  families.push_back(std::move(list_notes));

  MetricFamily events = Family(metric::kEvents, "Events received, by kind and fate.", MetricType::Counter);
  for (int kind = 0; kind < kNumMetricEventKinds; ++kind) {
    for (int fate = 1; fate < kNumMetricFates; ++fate) {
      const int cell = kEventCells + kind * kNumMetricFates + fate;
      if (kind == 0 && cells[static_cast<size_t>(cell)] == 0) continue;
      events.metric.push_back(counted(cell, {{"kind", v1::EventKind_Name(kind)}, {"fate", v1::Fate_Name(fate)}}));
    }
  }
  families.push_back(std::move(events));

  MetricFamily published = Family(metric::kPublications, "Publications of learned models, by policy.", MetricType::Counter);
  for (const auto& [policy, count] : publications) {
    ClientMetric metric = Labelled({{"policy", policy}});
    metric.counter.value = static_cast<double>(count);
    published.metric.push_back(std::move(metric));
  }
  families.push_back(std::move(published));

  for (const auto& [name, help, value] : kGuardTexts) {
    MetricFamily family = Family(name, help, MetricType::Gauge);
    for (const Metrics::Guard& guard : guards) {
      ClientMetric metric = Labelled({{"placement", guard.placement}});
      metric.gauge.value = guard.*value;
      family.metric.push_back(std::move(metric));
    }
    families.push_back(std::move(family));
  }

  for (int i = 0; i < kNumTimers; ++i) {
    MetricFamily family = Family(kTimerTexts[i].name, kTimerTexts[i].help, MetricType::Histogram);
    ClientMetric metric;
    FillHistogram(&cells[static_cast<size_t>(kTimerCells + i * kHistogramCells)], &metric);
    family.metric.push_back(std::move(metric));
    families.push_back(std::move(family));
  }
  for (int i = 0; i < kNumCounters; ++i) {
    MetricFamily family = Family(kCounterTexts[i].name, kCounterTexts[i].help, MetricType::Counter);
    family.metric.push_back(counted(kCounterCells + i, {}));
    families.push_back(std::move(family));
  }
  const auto add_value = [&families](const char* name, const char* help, MetricType type, double value) {
    MetricFamily family = Family(name, help, type);
    ClientMetric metric;
    metric.gauge.value = value;
    metric.counter.value = value;
    family.metric.push_back(std::move(metric));
    families.push_back(std::move(family));
  };
  for (int i = 0; i < kNumGauges; ++i) {
    add_value(kGaugeTexts[i].name, kGaugeTexts[i].help, MetricType::Gauge, m.gauge(static_cast<Gauge>(i)));
  }
  const int64_t snapshot_micros = m.snapshot_micros_.load(std::memory_order_relaxed);
  if (snapshot_micros != 0) {
    add_value(metric::kSnapshotAge, "Age of the newest sound base snapshot.", MetricType::Gauge,
              static_cast<double>(std::max<int64_t>(m.now_micros_() - snapshot_micros, 0)) / 1e6);
  }
  MetricFamily build = Family(metric::kBuildInfo, "Always 1; the version that runs.", MetricType::Gauge);
  ClientMetric build_metric = Labelled({{"version", m.version_}});
  build_metric.gauge.value = 1;
  build.metric.push_back(std::move(build_metric));
  families.push_back(std::move(build));
  add_value(metric::kProcessCpu, "CPU time used by the process, user and system.", MetricType::Counter, ProcessCpuSeconds());
  add_value(metric::kProcessMemory, "Resident memory of the process.", MetricType::Gauge, ResidentBytes());
  add_value(metric::kProcessStart, "When the process started, seconds since 1970.", MetricType::Gauge,
            static_cast<double>(m.start_micros_) / 1e6);
  return families;
}

absl::string_view MethodText(Method method) { return kMethodTexts[static_cast<int>(method)]; }

struct MetricsExporter::Impl {
  class Scraped : public prometheus::Collectable {
   public:
    explicit Scraped(const Metrics* metrics) : metrics_(metrics) {}
    std::vector<MetricFamily> Collect() const override { return Metrics::Collector::Collect(*metrics_); }

   private:
    const Metrics* const metrics_;
  };
  explicit Impl(const std::string& listen, const Metrics* metrics)
      : scraped(std::make_shared<Scraped>(metrics)), exposer(listen, 2) {
    exposer.RegisterCollectable(scraped);
  }
  std::shared_ptr<Scraped> scraped;
  prometheus::Exposer exposer;  // last: its threads stop first
};

MetricsExporter::MetricsExporter(std::unique_ptr<Impl> impl, int port) : impl_(std::move(impl)), port_(port) {}
MetricsExporter::~MetricsExporter() = default;

absl::StatusOr<std::unique_ptr<MetricsExporter>> MetricsExporter::Start(const std::string& listen, const Metrics* metrics) {
  try {  // the library throws when it cannot listen
    auto impl = std::make_unique<Impl>(listen, metrics);
    const std::vector<int> ports = impl->exposer.GetListeningPorts();
    const int port = ports.empty() ? 0 : ports[0];
    return std::unique_ptr<MetricsExporter>(new MetricsExporter(std::move(impl), port));
  } catch (const std::exception&) {
    return absl::UnavailableError(
        absl::StrCat("metrics_listen: expected a free address of this machine, found ", listen, " taken or foreign"));
  }
}

}  // namespace offerd
